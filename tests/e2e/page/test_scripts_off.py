"""The page in a browser that runs no script: a form, and an answer from the server."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.web.languages import languages
from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.driver import Driver
from tests.e2e.process import serving

pytestmark = pytest.mark.browser


def _send(driver: Driver, picture: Path) -> None:
    driver.page.set_input_files("#file", picture)
    driver.page.locator("#form button").click()


@pytest.mark.parametrize("tag", ["en", "ar", "bn"])
def test_the_form_gets_an_answer(open_page: OpenPage, pictures: dict[str, Path], tag: str) -> None:
    words = languages()[tag].words
    driver = open_page(java_script_enabled=False, locale=tag)
    assert driver.text("h1") == words["choose.heading"]
    expect(driver.page.locator(".figures dl")).to_be_visible()
    for name in ("pneumonia", "uncertain", "normal"):
        _send(driver, pictures[name])
        assert driver.text(".served .label") == words[f"answer.{name}"]
        expect(driver.page.locator(".served")).to_contain_text(words[f"next.{name}"])
        expect(driver.page.locator(".served img")).to_be_visible()
    assert driver.foreign_requests() == []


def test_the_language_can_be_switched(open_page: OpenPage) -> None:
    driver = open_page(java_script_enabled=False)
    driver.page.locator("#language").select_option("sw")
    driver.page.get_by_role("button", name="Change").click()
    expect(driver.page.locator("html")).to_have_attribute("lang", "sw")
    driver.page.goto(driver.url)
    expect(driver.page.locator("html")).to_have_attribute("lang", "sw")


def test_a_refusal_is_said(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(java_script_enabled=False)
    _send(driver, pictures["landscape"])
    assert driver.text(".served .label") == "This does not look like a chest X-ray"
    _send(driver, pictures["text"])
    assert driver.text(".served .label") == "This is not an image that can be read"
    _send(driver, pictures["empty"])
    assert driver.text(".served .label") == "The file is empty"


def test_a_key_is_a_field_of_the_form(
    open_page: OpenPage, models: Path, pictures: dict[str, Path]
) -> None:
    with serving(models, api_keys="a-long-secret-key") as url:
        driver = open_page(url=url, java_script_enabled=False)
        _send(driver, pictures["pneumonia"])
        assert driver.text(".served .label") == "The access key is missing or wrong"
        driver.page.locator("input[name=key]").fill("a-long-secret-key")
        _send(driver, pictures["pneumonia"])
        assert driver.text(".served .label") == "Signs of pneumonia"


def test_it_fits_on_the_smallest_phone(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(java_script_enabled=False, viewport={"width": 320, "height": 640})
    _send(driver, pictures["pneumonia"])
    expect(driver.page.locator(".served .label")).to_be_visible()
    assert driver.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_scripts_that_never_arrive_leave_a_form_that_works(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.page.route("**/*.js", lambda route: route.abort())
    driver.page.goto(driver.url)
    _send(driver, pictures["pneumonia"])  # waits for the button, which comes after five seconds
    assert driver.text(".served .label") == "Signs of pneumonia"
    assert driver.violations() == []


def test_the_form_takes_over_where_the_words_do_not_come(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page()
    driver.page.route("**/locales/*.json", lambda route: route.abort())
    driver.page.reload()
    driver.page.wait_for_selector("html:not(.scripted)")
    driver.until("!document.querySelector('#file').multiple")
    _send(driver, pictures["pneumonia"])
    assert driver.text(".served .label") == "Signs of pneumonia"
    assert driver.complaints == []
