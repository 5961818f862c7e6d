"""A browser, the service, pictures, and the figures that `make test` prints at its end."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.page import model
from tests.e2e.page.driver import Driver
from tests.e2e.page.figures import FIGURES
from tests.e2e.process import serving
from tests.shared.imaging.radiographs import radiograph

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Chromium runs as root in containers, and asks nothing of hosts outside."""

OpenPage = Callable[..., Driver]


# Of this folder, not of the session: while Playwright is open it keeps an event loop in this
# thread, in which tests elsewhere could not run one of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it the tests are skipped, or fail where CI is set."""
    if CHROMIUM is None:
        reason = "no Chromium on this machine; on Debian: apt-get install chromium fonts-noto-core"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the bundle that tests decide the answers of."""
    folder = tmp_path_factory.mktemp("models")
    model.publish_page_model(folder)
    return folder


@pytest.fixture(scope="session")
def service(models: Path) -> Iterator[str]:
    """The address of a running service."""
    with serving(models) as url:
        yield url


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files by name: normal, uncertain, pneumonia, unfamiliar, landscape, text, empty, scan,
    radiograph, tomogram."""
    folder = tmp_path_factory.mktemp("pictures")
    contents = {f"{outcome}.png": model.encoded(model.xray(outcome)) for outcome in model.OPACITIES}
    contents |= {
        "unfamiliar.png": model.encoded(model.unfamiliar_xray()),
        "landscape.png": model.encoded(model.landscape()),
        "text.jpeg": b"no picture at all\n" * 40,
        "empty.png": b"",
        "scan.tiff": model.encoded(model.xray("pneumonia"), "TIFF"),
        "radiograph.dcm": radiograph(model.xray("pneumonia"), 8),
        "tomogram.dcm": radiograph(model.xray("pneumonia"), 8, Modality="CT"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name.partition(".")[0]: folder / name for name in contents}


@pytest.fixture
def open_page(browser: Browser, service: str) -> Iterator[OpenPage]:
    """Opens the page, with options of the browser: `open_page(locale="ar", viewport=...)`."""
    contexts: list[BrowserContext] = []

    def opened(url: str = service, path: str = "", **options: object) -> Driver:
        context = browser.new_context(**{"locale": "en", **options})  # type: ignore[arg-type]
        contexts.append(context)
        page: Page = context.new_page()
        driver = Driver(page, url)
        page.goto(url + path)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html.scripted")
            driver.until("document.querySelector('#figures').children.length > 0")
        return driver

    yield opened
    for context in contexts:
        context.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests of the page measured."""
    if FIGURES:
        terminalreporter.section("the page")
        for line in FIGURES:
            terminalreporter.write_line(line)
