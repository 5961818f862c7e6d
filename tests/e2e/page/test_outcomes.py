"""Each thing that can come of an image, as the reader sees it."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from service.http import upload
from tests.e2e.page import model
from tests.e2e.page.conftest import OpenPage
from tests.e2e.process import serving
from tests.service.conftest import serving as serving_here
from tests.service.conftest import wait_until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("picture", "headline", "advice"),
    [
        ("normal", "No signs of pneumonia found", "This does not rule out pneumonia"),
        ("pneumonia", "Signs of pneumonia", "to a clinician today"),
        ("uncertain", "Uncertain: needs review", "A clinician must look"),
    ],
)
def test_answer(
    open_page: OpenPage, pictures: dict[str, Path], picture: str, headline: str, advice: str
) -> None:
    driver = open_page()
    driver.choose(pictures[picture])
    assert driver.outcome() == picture
    answer = driver.page.get_by_role("status")
    assert driver.text("#answer .label") == headline
    expect(answer).to_contain_text(advice)
    expect(answer).to_contain_text("Threshold: 41%")
    expect(answer).to_contain_text(re.compile(r"Model .*\d{4}-\d\d-\d\dT\d{6}Z"))
    share = int(driver.text(".probability b").rstrip("%"))
    fill = driver.page.locator("#answer > .card > .bar .fill").get_attribute("width") or ""
    assert round(float(fill.rstrip("%"))) == share
    tick = driver.page.locator("#answer > .card > .bar .tick").get_attribute("x")
    assert tick == "41%"
    told = driver.page.locator(".causes").count()
    assert told == (0 if picture == "normal" else 1)


def test_the_disclaimer_is_always_in_view(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(viewport={"width": 360, "height": 640})
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    disclaimer = driver.page.get_by_text("Second opinion, not a diagnosis.").first
    for place in ("0", "document.body.scrollHeight / 2", "document.body.scrollHeight"):
        driver.page.evaluate(f"scrollTo(0, {place})")
        expect(disclaimer).to_be_in_viewport()


def test_how_reliable_it_is_takes_one_click(open_page: OpenPage) -> None:
    driver = open_page()
    driver.page.get_by_role("link", name="How reliable is it?").click()
    expect(driver.page.get_by_role("heading", name="How reliable is it?")).to_be_in_viewport()
    expect(driver.page.locator(".figures")).to_contain_text("96.4%")
    expect(driver.page.locator(".figures")).to_contain_text("95% interval: 94.3% to 98.1%")
    expect(driver.page.locator(".reliable")).to_contain_text("aged one to five from one hospital")


def test_an_unfamiliar_image_gets_no_plain_answer(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.choose(pictures["unfamiliar"])
    assert driver.outcome() == "unfamiliar"
    answer = driver.page.locator("#answer")
    headline = answer.locator(".label")
    expect(headline).to_contain_text("Unlike the X-rays that this program knows: do not rely on it")
    small = answer.locator(".would-say")
    expect(small).to_have_text(re.compile(r"What it would say: .+ \(.*\d%\)"))
    sizes = [
        float(part.evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))
        for part in (headline, small)
    ]
    assert sizes[1] < sizes[0]
    for left_out in (".probability", ".bar", ".threshold", ".causes", ".warning"):
        expect(answer.locator(left_out)).to_have_count(0)

    page = driver.page
    page.evaluate("window.print = () => { window.printed = true }")
    page.get_by_role("button", name="Print report").click()
    driver.until("window.printed")
    page.emulate_media(media="print")
    report = page.locator("#report")
    expect(report.locator(".label")).to_contain_text("do not rely on it")
    expect(report.locator(".would-say")).to_be_visible()
    expect(report.locator(".bar")).to_have_count(0)
    expect(report.locator("img")).to_have_count(1)  # no heatmap


@pytest.mark.parametrize(
    ("picture", "headline", "remedy"),
    [
        ("landscape", "This does not look like a chest X-ray", "taken from the front"),
        ("text", "This is not an image that can be read", "JPEG or PNG"),
        ("empty", "The file is empty", "Export or photograph"),
    ],
)
def test_refusal(
    open_page: OpenPage, pictures: dict[str, Path], picture: str, headline: str, remedy: str
) -> None:
    driver = open_page()
    driver.choose(pictures[picture])
    assert driver.outcome() == "failed"
    assert driver.text("#answer .label") == headline
    expect(driver.page.get_by_role("status")).to_contain_text(remedy)
    assert driver.complaints == []


def test_too_many_pixels_are_made_fewer_when_asked(open_page: OpenPage, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    xray = model.xray("pneumonia", 512)
    huge.write_bytes(model.encoded(np.kron(xray, np.ones((14, 14), np.uint8))))  # 51 megapixels
    driver = open_page()
    driver.choose(huge)
    assert driver.outcome() == "failed"
    assert driver.text("#answer .label") == "The image has too many pixels"
    driver.page.get_by_role("button", name="Make it smaller and send").click()
    expect(driver.page.locator("#answer .label")).to_have_text(" Signs of pneumonia")


def test_too_large_is_said_before_it_is_sent(
    open_page: OpenPage, models: Path, pictures: dict[str, Path]
) -> None:
    assert pictures["pneumonia"].stat().st_size > 100 * 1024
    with serving(models, body_limit="100KiB") as url:
        driver = open_page(url=url)
        driver.choose(pictures["pneumonia"])
        assert driver.outcome() == "failed"
        assert driver.text("#answer .label") == "The file is too large"
        assert not [request for request in driver.requests if request.method == "POST"]
        driver.page.get_by_role("button", name="Make it smaller and send").click()
        expect(driver.page.locator("#answer .label")).to_have_text(" Signs of pneumonia")


@pytest.mark.parametrize("asked", [False, True])
def test_a_photo_is_made_smaller_only_when_asked(
    open_page: OpenPage, tmp_path: Path, asked: bool
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(model.encoded(model.xray("normal", 2000)))
    driver = open_page()
    if asked:
        driver.page.get_by_label("Make large photos smaller").check()
    driver.choose(photo)
    driver.outcome()
    (upload,) = [request for request in driver.requests if request.method == "POST"]
    length = int(upload.all_headers()["content-length"])
    assert (length < photo.stat().st_size / 4) if asked else (length == photo.stat().st_size)


def test_the_name_of_a_file_never_leaves_the_page(
    open_page: OpenPage, pictures: dict[str, Path], tmp_path: Path
) -> None:
    named = tmp_path / "Amina-Okafor-1987.png"
    named.write_bytes(pictures["normal"].read_bytes())
    driver = open_page()
    driver.choose(named)
    driver.outcome()
    (upload,) = [request for request in driver.requests if request.method == "POST"]
    sent = f"{upload.url} {upload.all_headers()}".encode() + (upload.post_data_buffer or b"")
    assert b"Okafor" not in sent


def test_overloaded_waits_and_tries_again(
    open_page: OpenPage,
    models: Path,
    pictures: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "PAUSE_SECONDS", 600)
    with serving_here(models=models, body_limit=2**20, answer_seconds=4) as client:
        driver = open_page(url=f"{client.base_url}/")
        with _holding_all_memory(client):
            driver.choose(pictures["pneumonia"])
            expect(driver.page.locator("#working")).to_contain_text("The service is busy")
            expect(driver.page.get_by_role("button", name="Try again")).to_be_visible()
        assert driver.outcome() == "pneumonia"


@contextmanager
def _holding_all_memory(client: httpx.Client) -> Iterator[None]:
    """Five uploads that stop short of their end, and of the 5 MiB for all uploads. Places would not
    do: one that waits for more than a second is lent to others."""
    size = 2**20
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    with ExitStack() as clients:
        for _ in range(5):
            holding = socket.create_connection(("127.0.0.1", client.base_url.port or 0))
            clients.enter_context(holding)
            holding.sendall(head + bytes(size - 100))
        # It has to read all of that first.
        wait_until(lambda: _held(client) == 5 * (size - 100))
        yield


def _held(client: httpx.Client) -> float:
    """Bytes of uploads that the service has in memory."""
    (held,) = re.findall(r"^xray_upload_bytes (\S+)", client.get("/metrics").text, re.MULTILINE)
    return float(held)


def test_offline_keeps_the_image_and_sends_it_later(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.page.context.set_offline(True)
    driver.choose(pictures["uncertain"])
    expect(driver.page.locator("#working")).to_contain_text("Your image is kept")
    expect(driver.page.locator("#picture")).to_be_visible()
    driver.page.context.set_offline(False)
    assert driver.outcome() == "uncertain"


def test_a_service_that_is_gone_can_be_tried_again(
    open_page: OpenPage, models: Path, pictures: dict[str, Path]
) -> None:
    with serving(models) as url:
        driver = open_page(url=url)
        port = urlsplit(url).port
    driver.choose(pictures["normal"])
    expect(driver.page.locator("#working")).to_contain_text("No connection")
    with serving(models, port=str(port)):
        driver.page.get_by_role("button", name="Try again").click()
        assert driver.outcome() == "normal"


@pytest.mark.parametrize("wrong", ["wrong", "ключ"], ids=["wrong", "no header carries it"])
def test_the_key_is_asked_for_and_kept_in_memory_only(
    open_page: OpenPage, models: Path, pictures: dict[str, Path], wrong: str
) -> None:
    with serving(models, api_keys="a-long-secret-key") as url:
        driver = open_page(url=url)
        page = driver.page
        driver.choose(pictures["pneumonia"])
        dialog = page.get_by_role("dialog", name="This service asks for an access key")
        expect(dialog).to_be_visible()
        expect(page.locator("#key-value")).to_be_focused()
        page.keyboard.type(wrong)
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("The access key is missing or wrong")
        page.keyboard.type("a-long-secret-key")
        page.keyboard.press("Enter")
        assert driver.outcome() == "pneumonia"
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert "secret" not in kept + str(page.context.cookies()) + page.content()
        driver.choose(pictures["normal"])
        assert driver.outcome() == "normal"
        expect(page.locator(".figures")).to_contain_text("96.4%")


def test_a_key_that_is_not_given_leaves_the_image_unchecked(
    open_page: OpenPage, models: Path, pictures: dict[str, Path]
) -> None:
    with serving(models, api_keys="a-long-secret-key") as url:
        driver = open_page(url=url)
        driver.choose(pictures["pneumonia"])
        driver.page.get_by_role("button", name="Cancel").click()
        assert driver.outcome() == "failed"
        driver.page.get_by_role("button", name="Try again").click()
        expect(driver.page.get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_model_without_a_heatmap_answers_all_the_same(
    open_page: OpenPage, pictures: dict[str, Path], tmp_path: Path, scripts: bool
) -> None:
    model.publish_page_model(tmp_path, heatmap=False)
    with serving(tmp_path) as url:
        driver = open_page(url=url, java_script_enabled=scripts)
        driver.choose(pictures["pneumonia"])
        if not scripts:
            driver.page.locator("#form button").click()
            assert driver.text(".served .label") == "Signs of pneumonia"
            return
        assert driver.outcome() == "pneumonia"
        expect(driver.page.get_by_text("This model draws no heatmap")).to_be_visible()
        expect(driver.page.get_by_label("Heatmap strength")).to_be_disabled()


def test_the_page_does_not_wait_for_the_figures(browser: Browser, service: str) -> None:
    page = browser.new_page(locale="en")
    page.route("**/model", lambda _: None)  # is never answered
    page.goto(service)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("96.4%")
    page.close()
