"""Takes the pictures of the page for the documentation: `make screenshots`.

The X-rays in them are drawn, and the model is the one of the tests: no patient, no real answer.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.page import model
from tests.e2e.page.conftest import CHROMIUM, QUIET
from tests.e2e.page.driver import Driver
from tests.e2e.process import serving

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "screenshots"
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}

SHOTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "start-en": ((), {"locale": "en", **DESKTOP}),
    "pneumonia-en": (("pneumonia", "uncertain", "normal"), {"locale": "en", **DESKTOP}),
    "uncertain-en-dark": (("uncertain",), {"locale": "en", "color_scheme": "dark", **DESKTOP}),
    "unfamiliar-en": (("unfamiliar",), {"locale": "en", **DESKTOP}),
    "refused-en": (("landscape",), {"locale": "en", **DESKTOP}),
    "pneumonia-ar": (("pneumonia", "normal"), {"locale": "ar", **DESKTOP}),
    "normal-hi": (("normal",), {"locale": "hi", **DESKTOP}),
    "start-hi-phone": ((), {"locale": "hi", **PHONE}),
    "pneumonia-en-phone": (("pneumonia",), {"locale": "en", **PHONE}),
    "pneumonia-ar-phone": (("pneumonia",), {"locale": "ar", **PHONE}),
    "normal-hi-phone-dark": (("normal",), {"locale": "hi", "color_scheme": "dark", **PHONE}),
}
"""Name of each picture: the images that are chosen, and the browser's options."""


def main() -> int:
    """Takes every picture; returns the exit code."""
    if CHROMIUM is None:
        print("No Chromium on this machine; on Debian: apt-get install chromium fonts-noto-core")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        work = Path(folder)
        model.publish_page_model(work / "models")
        _draw(work)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        with serving(work / "models") as url:
            for name, (pictures, options) in SHOTS.items():
                _take(
                    browser, url, name, [work / f"{picture}.png" for picture in pictures], options
                )
            _take_report(browser, url, work / "pneumonia.png")
        browser.close()
    return 0


def _draw(folder: Path) -> None:
    for outcome in model.OPACITIES:
        pixels = model.xray(outcome, 900)
        (folder / f"{outcome}.png").write_bytes(model.encoded(pixels))
    (folder / "unfamiliar.png").write_bytes(model.encoded(model.unfamiliar_xray(900)))
    (folder / "landscape.png").write_bytes(model.encoded(model.landscape()))


def _take(
    browser: Browser, url: str, name: str, files: list[Path], options: dict[str, Any]
) -> None:
    driver = _opened(browser, url, files, options)
    _save(driver, name)
    driver.page.context.close()


def _take_report(browser: Browser, url: str, file: Path) -> None:
    driver = _opened(
        browser, url, [file], {"locale": "en", "viewport": {"width": 710, "height": 1040}}
    )
    driver.page.evaluate("window.print = () => { window.printed = true }")
    driver.page.get_by_role("button", name="Print report").click()
    driver.until("window.printed")
    driver.page.emulate_media(media="print")
    _save(driver, "report-en", margin=42)
    driver.page.context.close()


def _opened(browser: Browser, url: str, files: list[Path], options: dict[str, Any]) -> Driver:
    page = browser.new_context(reduced_motion="reduce", **options).new_page()
    driver = Driver(page, url)
    page.goto(url)
    page.wait_for_selector("html.scripted")
    page.wait_for_selector("#figures dl")
    if files:
        driver.choose(*files)
        driver.until("!document.querySelector('.entry-state.pending')")
        driver.outcome()
    page.wait_for_timeout(300)  # the picture is painted a moment after it is laid out
    return driver


def _save(driver: Driver, name: str, margin: int = 0) -> None:
    """Saves what is on the screen, as WebP: small in the repository, and every colour in it."""

    file = FOLDER / f"{name}.webp"
    picture = Image.open(io.BytesIO(driver.page.screenshot())).convert("RGB")
    ImageOps.expand(picture, margin, "white").save(file, quality=85, method=6)
    print(f"{file.relative_to(FOLDER.parents[1])}: {file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
