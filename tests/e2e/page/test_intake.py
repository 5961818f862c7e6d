"""Every way in which an image comes to the page."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import OpenPage

pytestmark = pytest.mark.browser

PASTE = """async (bytes) => {
  const blob = await (await fetch("data:image/png;base64," + bytes)).blob();
  await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
}"""


def test_choose_one(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page()
    driver.page.get_by_text("Choose X-rays").click()
    dialog = driver.dialog()
    assert dialog.is_multiple()
    dialog.set_files(pictures["pneumonia"])
    assert driver.outcome() == "pneumonia"
    assert driver.page.locator("#picture").evaluate("image => image.naturalWidth") == 640
    assert driver.complaints == []
    assert driver.foreign_requests() == []


def test_choose_several_and_walk_through_them(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.choose(pictures["normal"], pictures["pneumonia"], pictures["landscape"])
    states = driver.page.locator(".entry-state")
    expect(states.nth(2)).to_contain_text("Not checked")
    assert states.all_inner_texts() == [
        " No signs of pneumonia found",
        " Signs of pneumonia",
        " Not checked",
    ]
    assert driver.outcome() == "normal"
    driver.page.locator(".entry").nth(1).click()
    assert driver.outcome() == "pneumonia"
    expect(driver.page.locator(".entry").nth(1)).to_have_attribute("aria-current", "true")

    driver.page.get_by_role("button", name="Remove pneumonia.png").click()
    assert driver.outcome() == "failed"
    expect(driver.page.locator("#list li")).to_have_count(2)
    driver.page.get_by_role("button", name="Remove all").click()
    expect(driver.page.locator("#work")).to_be_hidden()
    expect(driver.page.locator("#title")).to_be_focused()


def test_drag(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page()
    devtools = driver.page.context.new_cdp_session(driver.page)
    data = {"items": [], "files": [str(pictures["uncertain"])], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    expect(driver.page.get_by_text("Drop the images here")).to_be_visible()
    devtools.send("Input.dispatchDragEvent", {"type": "drop", "x": 300, "y": 300, "data": data})
    assert driver.outcome() == "uncertain"
    expect(driver.page.get_by_text("Drop the images here")).to_be_hidden()


def test_paste(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(
        permissions=["clipboard-read", "clipboard-write"], bypass_csp=True
    )  # the policy would not let the test, which is no part of the page, read a data URL
    driver.page.evaluate(PASTE, base64.b64encode(pictures["pneumonia"].read_bytes()).decode())
    driver.page.keyboard.press("Control+V")
    assert driver.outcome() == "pneumonia"


def test_photograph(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    expect(driver.page.locator("#camera")).to_have_attribute("capture", "environment")
    driver.page.get_by_text("Take a photo").tap()
    driver.dialog().set_files(pictures["normal"])
    assert driver.outcome() == "normal"


def test_a_computer_without_touch_offers_no_camera(open_page: OpenPage) -> None:
    expect(open_page().page.get_by_text("Take a photo")).to_be_hidden()


@pytest.mark.parametrize("picture", ["scan", "radiograph"])
def test_what_the_browser_cannot_show_is_shown_with_its_answer(
    open_page: OpenPage, pictures: dict[str, Path], picture: str
) -> None:
    driver = open_page()
    driver.choose(pictures[picture])
    assert driver.outcome() == "pneumonia"
    shown = re.compile("^data:image/jpeg;base64,")
    expect(driver.page.locator("#picture")).to_have_attribute("src", shown)
    driver.until("document.querySelector('#picture').naturalWidth > 100")
    driver.until("document.querySelector('.thumb').naturalWidth > 100")
    expect(driver.page.locator("#heat")).to_be_visible()
    expect(driver.page.locator("#no-preview")).to_be_hidden()
    assert driver.complaints == []


def test_a_dicom_file_of_another_kind_is_refused_and_not_shown(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.choose(pictures["tomogram"])
    assert driver.outcome() == "failed"
    assert driver.text("#answer .label") == "This kind of DICOM file is not read"
    expect(driver.page.get_by_role("status")).to_contain_text("a single image of the kind CR or DX")
    expect(driver.page.get_by_text("This browser cannot show this kind of image")).to_be_visible()


def test_a_name_with_markup_stays_text(
    open_page: OpenPage, pictures: dict[str, Path], tmp_path: Path
) -> None:
    odd = tmp_path / "<img src=x onerror=alert(1)>.png"
    odd.write_bytes(pictures["normal"].read_bytes())
    driver = open_page()
    driver.choose(odd)
    assert driver.outcome() == "normal"
    assert driver.text("#current") == odd.name
    assert driver.complaints == []
