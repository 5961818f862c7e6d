"""What the page costs on a bad connection, and what it does not ask of the network."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.figures import FIGURES

pytestmark = pytest.mark.browser

BUDGET = 60_000
"""Bytes of page, script, style and one language, headers included."""


@pytest.mark.parametrize("tag", ["en", "ar", "hi", "zh-Hans"])
def test_the_first_visit_stays_within_the_budget(browser: Browser, service: str, tag: str) -> None:
    context = browser.new_context(locale=tag)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    sizes: list[float] = []
    devtools.send("Network.enable")

    def finished(event: dict[str, Any]) -> None:
        sizes.append(event["encodedDataLength"])

    devtools.on("Network.loadingFinished", finished)
    page.goto(service, wait_until="networkidle")
    expect(page.locator("#figures dl")).to_be_visible()
    FIGURES.append(f"first visit, {tag}: {sum(sizes):,.0f} bytes in {len(sizes)} requests")
    context.close()
    assert sum(sizes) < BUDGET
    assert len(sizes) < 30


def test_a_second_visit_asks_for_the_page_and_the_figures_only(
    browser: Browser, service: str
) -> None:
    context = browser.new_context()
    context.new_page().goto(service, wait_until="networkidle")
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    travelled: list[str] = []

    def received(event: dict[str, Any]) -> None:
        answer = event["response"]
        if not answer.get("fromDiskCache") and not answer.get("fromPrefetchCache"):
            travelled.append(answer["url"].removeprefix(service))

    devtools.on("Network.responseReceived", received)
    page.goto(service, wait_until="networkidle")
    context.close()
    assert set(travelled) <= {"", "model"}


def test_only_its_own_host_is_asked(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page()
    driver.choose(pictures["pneumonia"], pictures["landscape"])
    driver.outcome()
    driver.page.locator("#language").select_option("hi")
    expect(driver.page.locator("html")).to_have_attribute("lang", "hi")
    assert driver.foreign_requests() == []


def test_the_policy_allows_nothing_inline(service: str, open_page: OpenPage) -> None:
    policy = httpx.get(service).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    driver = open_page()
    refused = driver.page.evaluate(
        """() => new Promise((resolve) => {
          addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
          const script = document.createElement("script");
          script.append("window.broken = true");
          document.body.append(script);
          setTimeout(() => resolve("nothing"), 5000);
        })"""
    )
    assert refused.startswith(("script-src", "require-trusted-types"))
    assert driver.page.evaluate("window.broken") is None
