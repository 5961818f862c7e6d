"""The page for everyone: axe-core in every language and state, the keyboard alone, less motion."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.web.languages import languages
from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.driver import Driver
from tests.e2e.page.figures import FIGURES
from tests.e2e.process import serving

pytestmark = pytest.mark.browser

STATES = ("normal", "pneumonia", "uncertain", "unfamiliar", "landscape", "scan")
PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}


def _states(
    driver: Driver, pictures: dict[str, Path], contrast: bool = True
) -> dict[str, list[str]]:
    """What axe finds in the empty page and in each kind of answer."""
    found = {"empty": driver.violations(contrast)}
    driver.choose(*(pictures[state] for state in STATES))
    for place, state in enumerate(STATES):
        driver.page.locator(".entry").nth(place).click()
        driver.outcome()
        found[state] = driver.violations(contrast)
    return found


def _clean(name: str, found: dict[str, list[str]]) -> None:
    FIGURES.append(
        f"axe-core, {name}: {sum(map(len, found.values()))} violations in {len(found)} states"
    )
    assert {state: rules for state, rules in found.items() if rules} == {}


@pytest.mark.parametrize("tag", languages())
def test_axe_finds_nothing_in_any_language(
    open_page: OpenPage, pictures: dict[str, Path], tag: str
) -> None:
    driver = open_page(locale=tag, viewport=DESKTOP, reduced_motion="reduce")
    # The colours are those of one style sheet, which reads from the left or from the right.
    _clean(tag, _states(driver, pictures, contrast=tag in ("en", "ur")))


@pytest.mark.parametrize(("tag", "scheme"), [("en", "light"), ("en", "dark"), ("ur", "dark")])
def test_axe_finds_nothing_on_a_phone(
    open_page: OpenPage, pictures: dict[str, Path], tag: str, scheme: str
) -> None:
    driver = open_page(
        locale=tag,
        viewport=PHONE,
        color_scheme=scheme,
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    _clean(f"{tag}, phone, {scheme}", _states(driver, pictures))


def test_axe_finds_nothing_while_waiting(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(color_scheme="dark", viewport=DESKTOP)
    driver.page.context.set_offline(True)
    driver.choose(pictures["normal"])
    expect(driver.page.locator("#working")).to_contain_text("No connection")
    _clean("en, offline, dark", {"offline": driver.violations()})


def test_axe_finds_nothing_where_a_key_is_asked(
    open_page: OpenPage, models: Path, pictures: dict[str, Path]
) -> None:
    with serving(models, api_keys="a-long-secret-key") as url:
        driver = open_page(url=url)
        driver.choose(pictures["normal"])
        expect(driver.page.get_by_role("dialog")).to_be_visible()
        _clean("en, key asked", {"key": driver.violations()})


def test_the_keyboard_alone_is_enough(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(viewport=DESKTOP)
    page, press = driver.page, driver.page.keyboard.press

    def focused() -> str:
        name = "document.activeElement.id || document.activeElement.textContent.trim()"
        return str(page.evaluate(name))

    def tab_to(name: str) -> None:
        for _ in range(30):
            press("Tab")
            if focused() == name:
                return
        raise AssertionError(f"Tab never reached {name}; it is at {focused()}")

    press("Tab")
    assert focused() == "Skip to the content"
    press("Enter")
    assert focused() == "main"
    tab_to("file")
    press("Enter")
    driver.dialog().set_files([pictures["pneumonia"], pictures["normal"]])
    expect(page.locator("#current")).to_be_focused()
    assert driver.outcome() == "pneumonia"

    tab_to("Print report")
    tab_to("zoom-in")
    press("Enter")
    tab_to("invert")
    press("Space")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    tab_to("stage")
    zoomed = page.evaluate("document.querySelector('#plate').offsetWidth")
    press("+")
    press("+")
    assert page.evaluate("document.querySelector('#plate').offsetWidth") > zoomed
    press("ArrowDown")
    driver.until("document.querySelector('#stage').scrollTop > 0")
    press("h")
    expect(page.get_by_label("Heatmap strength")).to_have_value("0")
    tab_to("strength")
    press("ArrowRight")
    expect(page.get_by_label("Heatmap strength")).to_have_value("5")

    for _ in range(30):
        press("Shift+Tab")
        if focused() == "show-2":
            break
    press("Enter")
    assert driver.outcome() == "normal"
    press("Tab")
    assert focused() == "remove-2"
    press("Enter")
    expect(page.locator("#show-1")).to_be_focused()


def test_what_is_focused_is_not_hidden_behind_the_disclaimer(
    open_page: OpenPage, pictures: dict[str, Path]
) -> None:
    driver = open_page(viewport={"width": 360, "height": 600}, reduced_motion="reduce")
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    driver.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    for _ in range(25):
        driver.page.keyboard.press("Shift+Tab")
        hidden = driver.page.evaluate(
            """() => {
              const strip = document.querySelector(".disclaimer");
              const at = document.activeElement;
              const above = at === document.body || at.closest(".masthead, .skip");
              if (above || strip.contains(at)) return false;
              const shown = at.id === "file" ? at.nextElementSibling : at;
              return shown.getBoundingClientRect().bottom <= strip.getBoundingClientRect().bottom;
            }"""
        )
        assert not hidden, driver.page.evaluate("document.activeElement.outerHTML")


def test_the_answer_is_read_out_once(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page()
    driver.page.evaluate(
        """() => {
          window.spoken = [];
          const region = document.querySelector("[role=status]");
          const listen = () => spoken.push(region.innerText);
          new MutationObserver(listen).observe(region, {childList: true});
        }"""
    )
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    spoken = driver.page.evaluate("spoken")
    assert len(spoken) == 2
    assert "Looking at the X-ray" in spoken[0]
    assert "Signs of pneumonia" in spoken[1]


def test_less_motion_where_asked(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(reduced_motion="reduce")
    driver.choose(pictures["normal"])
    driver.outcome()
    moving = driver.page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) => {
          const style = getComputedStyle(element);
          return style.transitionDuration !== "0s" || style.animationName !== "none"
            || style.scrollBehavior === "smooth";
        }).length"""
    )
    assert moving == 0


def test_targets_are_large_enough(open_page: OpenPage, pictures: dict[str, Path]) -> None:
    driver = open_page(viewport=PHONE)
    driver.choose(pictures["pneumonia"])
    driver.outcome()
    small = driver.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input[type=range], summary")]
          .filter((target) => target.checkVisibility())
          .map((target) => [target.id || target.textContent, target.getBoundingClientRect()])
          .filter(([, box]) => box.width < 24 || box.height < 24).map(([name]) => name)"""
    )
    assert small == []
