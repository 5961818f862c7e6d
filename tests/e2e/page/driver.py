"""The page as a reader uses it: choose a file, read the answer, look for what is not accessible."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, FileChooser, Page, Request, expect

PATIENCE_MS = 60_000
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

expect.set_options(timeout=PATIENCE_MS)


class Driver:
    """One open page.

    Attributes:
        page: Playwright's page.
        complaints: What the page's console said that it should not: errors, refused inline code.
        requests: Every request that the page made.
        dialogs: The file dialogs that it opened.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.dialogs: list[FileChooser] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)
        # From the start: told of it only when a dialog is about to open, Chromium may be late.
        page.on("filechooser", lambda dialog: self.dialogs.append(dialog))

    def _note(self, message: ConsoleMessage) -> None:
        # A refused upload and a lost connection are for the reader, and said in the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def choose(self, *files: Path) -> None:
        """Chooses files in the file dialog's stead."""
        self.page.set_input_files("#file", list(files))

    def dialog(self) -> FileChooser:
        """Waits for the file dialog that was asked for, and takes it."""
        for _ in range(PATIENCE_MS // 50):
            if self.dialogs:
                return self.dialogs.pop()
            self.page.wait_for_timeout(50)
        raise TimeoutError("no file dialog opened")

    def outcome(self) -> str:
        """Waits for the current image's card and tells its kind: normal, uncertain, failed ..."""
        card = self.page.locator("#answer .card")
        expect(card).to_be_visible()
        return (card.get_attribute("class") or "").replace("card", "").strip()

    def until(self, condition: str) -> None:
        """Waits until an expression is true; the page's policy forbids Playwright's own way."""
        for _ in range(PATIENCE_MS // 50):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise TimeoutError(f"never true: {condition}")

    def text(self, selector: str) -> str:
        """The text of an element, without the isolates that keep directions apart."""
        shown = self.page.locator(selector).first.inner_text()
        return shown.replace("\u2066", "").replace("\u2069", "").strip()

    def violations(self, contrast: bool = True) -> list[str]:
        """What axe-core finds, in words; empty where it finds nothing.

        Args:
            contrast: Whether to compare the colours of texts too: half of the work.
        """
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(Axe().axe_script)
        options = {
            "runOnly": list(AXE_TAGS),
            "resultTypes": ["violations"],
            "rules": {"color-contrast": {"enabled": contrast}},
        }
        found = self.page.evaluate(
            "async (options) => (await axe.run(options)).violations", options
        )
        return [f"{rule['id']}: {rule['help']} ({_places(rule['nodes'])})" for rule in found]

    def foreign_requests(self) -> list[str]:
        """Addresses on other hosts that the page asked for."""
        own = (self.url, "blob:", "data:")
        return [request.url for request in self.requests if not request.url.startswith(own)]


def _places(nodes: Iterable[dict[str, Any]]) -> str:
    return "; ".join(str(node["target"]) for node in nodes)
