"""The page in each of its languages: words, direction, numbers, with scripts and without."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.web.languages import languages
from tests.e2e.page.conftest import OpenPage

pytestmark = pytest.mark.browser

PERCENT = """([tag, share, digits]) => new Intl.NumberFormat(tag, {style: "percent",
  minimumFractionDigits: digits, maximumFractionDigits: digits}).format(share)"""
SHOWN = ("pneumonia", "uncertain", "normal", "landscape")


@pytest.mark.parametrize("tag", languages())
def test_the_browsers_language_is_the_pages(
    open_page: OpenPage, pictures: dict[str, Path], tag: str
) -> None:
    words = languages()[tag].words
    driver = open_page(locale=tag, viewport={"width": 320, "height": 640})
    html = driver.page.locator("html")
    expect(html).to_have_attribute("lang", tag)
    expect(html).to_have_attribute("dir", words["meta.dir"])
    expect(driver.page).to_have_title(words["app.name"])
    assert driver.text("h1") == words["choose.heading"]
    assert driver.page.evaluate("document.documentElement.scrollWidth") <= 320

    driver.choose(*(pictures[name] for name in SHOWN))
    for place, name in enumerate(SHOWN[:3]):
        driver.page.locator(".entry").nth(place).click()
        assert driver.outcome() == name
        assert driver.text("#answer .label") == words[f"answer.{name}"]
        expect(driver.page.locator("#answer")).to_contain_text(words[f"next.{name}"])
        assert driver.page.evaluate("document.documentElement.scrollWidth") <= 320
    threshold = driver.page.evaluate(PERCENT, [tag, 0.41, 0])
    expect(driver.page.locator("#answer .threshold")).to_contain_text(threshold)
    driver.page.locator(".entry").nth(3).click()
    assert driver.outcome() == "failed"
    assert driver.text("#answer .label") == words["problem.not-a-chest-xray"]
    assert driver.complaints == []


def test_the_server_writes_numbers_as_the_browser_does(open_page: OpenPage) -> None:
    page = open_page().page
    for tag, language in languages().items():
        for share, digits in ((0.41, 0), (0.934, 1), (1.0, 0)):
            assert language.percent(share, digits) == page.evaluate(PERCENT, [tag, share, digits])


def test_the_switch_is_remembered_and_keeps_the_images(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page(locale="fr-CH")
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    arabic = languages()["ar"].words
    driver.page.locator("#language").select_option("ar")
    expect(driver.page.locator("#answer .label")).to_have_text(f" {arabic['answer.pneumonia']}")
    expect(driver.page.locator("html")).to_have_attribute("dir", "rtl")
    uploads = [request for request in driver.requests if request.method == "POST"]
    assert len(uploads) == 1

    driver.page.reload()
    assert driver.text("h1") == arabic["choose.heading"]
    expect(driver.page.locator("#language")).to_have_value("ar")


def test_right_to_left_is_mirrored_but_the_xray_is_not(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    centres = {}
    for tag in ("en", "ar"):
        driver = open_page(locale=tag, viewport={"width": 1200, "height": 900})
        driver.choose(pictures["pneumonia"])
        driver.outcome()
        boxes = {}
        for name in (".finding", ".viewer", ".language"):
            box = driver.page.locator(name).bounding_box()
            assert box is not None
            boxes[name] = box["x"] + box["width"] / 2
        centres[tag] = boxes
        bar = driver.page.locator("#answer .bar").first
        mirrored = bar.evaluate("bar => getComputedStyle(bar).transform")
        assert (mirrored == "none") == (tag == "en")
        for part in ("#picture", "#heat", "#stage"):
            assert driver.page.locator(part).evaluate(
                "part => getComputedStyle(part).transform + getComputedStyle(part).direction"
            ) in ("noneltr", "nonertl" if part != "#stage" else "noneltr")
    for name, centre in centres["en"].items():
        assert centres["ar"][name] == pytest.approx(1200 - centre, abs=16)


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", (1280, 900)), ("dark", (1280, 900)), ("light", (1920, 1080))]
)
def test_nothing_overflows(
    open_page: OpenPage, pictures: dict[str, Path], scheme: str, size: tuple[int, int]
) -> None:
    driver = open_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    driver.choose(*(pictures[name] for name in SHOWN))
    driver.outcome()
    assert driver.page.evaluate("document.documentElement.scrollWidth") <= size[0]
