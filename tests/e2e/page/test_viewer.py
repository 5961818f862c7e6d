"""The picture under the reader's hands, and the report on paper and as a file."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from service.web.languages import languages
from tests.e2e.page import model
from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.driver import Driver

pytestmark = pytest.mark.browser

PAGES = re.compile(rb"/Type\s*/Page\b")
PAPER = ("A4", "Letter")


@pytest.fixture
def answered(open_page: OpenPage, pictures: dict[str, Path]) -> Driver:
    """The page with the answer to an X-ray with pneumonia."""
    driver = open_page(viewport={"width": 1200, "height": 900})
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    return driver


def _seen(driver: Driver, tmp_path: Path) -> NDArray[np.uint8]:
    """The stage as it is painted; (H, W, 3)."""
    file = tmp_path / "stage.png"
    driver.page.locator("#stage").screenshot(path=file)
    return np.asarray(Image.open(file).convert("RGB"))


def _colour(pixels: NDArray[np.uint8]) -> float:
    """How far the most colourful pixel is from grey."""
    return float(np.ptp(pixels.astype(int), axis=2).max())


def test_the_slider_sets_the_strength_of_the_heatmap(answered: Driver, tmp_path: Path) -> None:
    slider = answered.page.get_by_label("Heatmap strength")
    expect(answered.page.get_by_text("It is not a finding")).to_be_visible()
    colour = {}
    for strength in ("0", "40", "100"):
        slider.fill(strength)
        colour[strength] = _colour(_seen(answered, tmp_path))
    assert colour["0"] < 10 < colour["40"] < colour["100"]


def test_the_heatmap_marks_where_the_network_looked(answered: Driver, tmp_path: Path) -> None:
    answered.page.get_by_label("Heatmap strength").fill("100")
    pixels = _seen(answered, tmp_path).astype(int)
    tinted = np.argwhere(np.ptp(pixels, axis=2) > 60)
    side = pixels.shape[0]  # the square picture fills the stage's height, in its middle
    y, x = tinted.mean(axis=0)
    assert abs(y / side - model.SPOT[1]) < 0.1
    assert abs((x - (pixels.shape[1] - side) / 2) / side - model.SPOT[0]) < 0.1


def test_zoom_pan_and_fit(answered: Driver) -> None:
    page = answered.page
    width = "() => document.querySelector('#plate').offsetWidth"
    fitted = page.evaluate(width)
    expect(page.get_by_role("button", name="Fit")).to_be_disabled()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    assert page.evaluate(width) == pytest.approx(fitted * 1.25**4, rel=0.01)

    before = page.evaluate("document.querySelector('#stage').scrollLeft")
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 400, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 300, steps=5)
    page.mouse.up()
    after = page.evaluate("document.querySelector('#stage').scrollLeft")
    assert after - before == pytest.approx(100, abs=3)

    page.get_by_role("button", name="Fit").click()
    assert page.evaluate(width) == fitted


def test_the_wheel_zooms_with_control_only(answered: Driver) -> None:
    page = answered.page
    page.locator("#stage").hover()
    width = "() => document.querySelector('#plate').offsetWidth"
    fitted = page.evaluate(width)
    page.mouse.wheel(0, -100)
    assert page.evaluate(width) == fitted
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    answered.until(f"({width})() > {fitted}")


def test_invert(answered: Driver, tmp_path: Path) -> None:
    answered.page.get_by_label("Heatmap strength").fill("0")
    upright = _seen(answered, tmp_path).astype(int)
    answered.page.get_by_role("button", name="Invert").click()
    inverted = _seen(answered, tmp_path).astype(int)
    middle = slice(300, 600)
    assert np.abs(upright[100:500, middle] + inverted[100:500, middle] - 255).mean() < 2


def test_the_report_is_one_page_in_every_language(answered: Driver) -> None:
    page = answered.page
    page.evaluate("window.print = () => { window.printed = true }")
    for tag, language in languages().items():
        page.locator("#language").select_option(tag)
        expect(page.locator("html")).to_have_attribute("lang", tag)
        page.evaluate("window.printed = false")
        page.locator("#actions button").first.click()
        answered.until("window.printed")
        for paper in PAPER:
            assert len(PAGES.findall(page.pdf(format=paper))) == 1, (tag, paper)
        page.emulate_media(media="print")
        expect(page.locator("#report")).to_contain_text(language.words["report.disclaimer"])
        expect(page.locator("main")).to_be_hidden()
        assert page.locator("#report img").count() == 2
        page.emulate_media(media="null")


def test_a_saved_report_opens_without_a_network(answered: Driver, tmp_path: Path) -> None:
    with answered.page.expect_download() as download:
        answered.page.get_by_role("button", name="Save report").click()
    assert re.fullmatch(r"xray-report-[\dT-]+\.html", download.value.suggested_filename)
    file = tmp_path / "report.html"
    download.value.save_as(file)

    page = answered.page.context.browser.new_page(java_script_enabled=False)  # type: ignore[union-attr]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    expect(page.get_by_text("Signs of pneumonia")).to_be_visible()
    expect(page.get_by_text("a clinician decides")).to_be_visible()
    for index in range(2):
        expect(page.locator("#report img").nth(index)).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
