"""/docs in a real browser: it draws itself under the service's own strict policy, from its own
files."""

from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.page.conftest import browser  # noqa: F401
from tests.service.conftest import client, tiny_models  # noqa: F401

pytestmark = pytest.mark.browser


def test_the_documentation_opens_without_another_host(
    browser: Browser,  # noqa: F811
    client: httpx.Client,  # noqa: F811
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        hosts: set[str] = set()
        complaints: list[str] = []
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{client.base_url}/docs", timeout=120_000)
        page.wait_for_selector("text=Screen one image", timeout=120_000)
        page.get_by_text("Screen one image").click()
        page.wait_for_selector("text=Try it out", timeout=120_000)
    assert complaints == []
    assert hosts == {client.base_url.netloc.decode()}
