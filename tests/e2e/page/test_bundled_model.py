"""The page with the model that ships: it shows what the service answers, image by image."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.e2e.page import model
from tests.e2e.page.conftest import OpenPage
from tests.e2e.process import PATIENCE, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def bundled() -> Iterator[str]:
    """A service with the model that ships."""
    if not (ROOT / "models" / "default" / "model.json").is_file():
        pytest.skip("no model ships in models/default")
    with serving(ROOT / "models") as url:
        yield url


def _expected(url: str, picture: Path) -> str:
    """The outcome that the service's own answer amounts to."""
    reply = httpx.post(f"{url}predict", content=picture.read_bytes(), timeout=PATIENCE)
    if reply.status_code != 200:
        return "failed"
    answer = reply.json()
    if not answer["reliable"]:
        return "unfamiliar"
    return "uncertain" if answer["needs_review"] else str(answer["label"]).lower()


def _compare(open_page: OpenPage, url: str, pictures: list[Path]) -> list[str]:
    """Sends pictures through the page and the API; returns the outcomes, the same in both."""
    driver = open_page(url=url)
    driver.choose(*pictures)
    shown = []
    for place, picture in enumerate(pictures):
        driver.page.locator(".entry").nth(place).click()
        shown.append(driver.outcome())
        assert shown[-1] == _expected(url, picture), picture.name
    assert driver.complaints == []
    return shown


def test_drawn_pictures(open_page: OpenPage, bundled: str, pictures: dict[str, Path]) -> None:
    names = [*model.OPACITIES, "landscape", "text"]
    shown = _compare(open_page, bundled, [pictures[name] for name in names])
    assert shown[-1] == "failed"


def test_real_xrays_and_pictures_that_are_none(
    open_page: OpenPage, bundled: str, xray_data: Path
) -> None:
    originals = sorted((xray_data / "full_resolution").rglob("*.jpeg"))
    others = sorted(
        file
        for file in (xray_data / "not_a_chest_xray").rglob("*")
        if file.suffix.lower() in (".png", ".jpg", ".jpeg")
    )
    shown = _compare(open_page, bundled, originals[:2] + originals[-2:] + others[:2])
    assert "pneumonia" in shown
