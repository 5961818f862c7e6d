"""/docs in a real browser: it draws itself under the service's own strict policy, from its own
files."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_the_documentation_opens_without_another_host(browser: Browser, service: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        hosts: set[str] = set()
        complaints: list[str] = []
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{service}docs", timeout=120_000)
        page.wait_for_selector("text=Screen one image", timeout=120_000)
        page.get_by_text("Screen one image").click()
        page.wait_for_selector("text=Try it out", timeout=120_000)
    assert complaints == []
    assert hosts == {urlsplit(service).netloc}
