"""The client of the service: answers, refusals, and what is neither."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.backoff import Away, Unsuccessful
from gateway.screening_client import Answer, Refusal, ScreeningClient
from tests.gateway.fake_service import VERSION, FakeService, answer
from tests.gateway.radiographs import radiograph, write


@pytest.fixture
def client(service: FakeService) -> Iterator[ScreeningClient]:
    made = ScreeningClient(service.url, None, seconds=20, at_once=2)
    yield made
    made.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(radiograph(), tmp_path / "image.dcm")


def test_an_answer_is_read(client: ScreeningClient, service: FakeService, image: Path) -> None:
    service.says(reliable=False, warnings=[{"code": "patient_age", "message": "Too old."}])
    said = client.screen(image)
    assert isinstance(said, Answer)
    assert (said.label, said.probability, said.threshold) == ("PNEUMONIA", 0.934, 0.41)
    assert (said.reliable, said.warnings) == (False, (("patient_age", "Too old."),))
    assert said.model_version == VERSION
    assert said.picture is not None
    assert said.picture.startswith(b"\xff\xd8")
    assert said.heatmap is not None


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_is_the_images(
    client: ScreeningClient, service: FakeService, image: Path, status: int
) -> None:
    service.refuses(status, "image-too-large")
    assert client.screen(image) == Refusal(
        "image-too-large", "Received something – accepted is something else."
    )


@pytest.mark.parametrize(
    ("status", "slug", "after"),
    [(503, "overloaded", 7.0), (401, "key-required", None), (422, "invalid-parameter", None)],
)
def test_other_problems_are_the_services(
    client: ScreeningClient, service: FakeService, image: Path, status: int, slug: str, after: Any
) -> None:
    service.refuses(status, slug, **({"Retry_After": str(after)[:1]} if after else {}))
    with pytest.raises(Away, match=slug) as away:
        client.screen(image)
    assert away.value.retry_after == after


def test_a_date_to_come_again_is_understood(
    client: ScreeningClient, service: FakeService, image: Path
) -> None:
    service.refuses(503, "overloaded", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    with pytest.raises(Away) as away:
        client.screen(image)
    assert away.value.retry_after == 0


def test_a_proxys_page_is_no_refusal(
    client: ScreeningClient, service: FakeService, image: Path
) -> None:
    service.predict = (413, {"Content-Type": "text/html"}, {})
    with pytest.raises(Away, match="413"):
        client.screen(image)


def test_a_service_that_is_away_is_said(image: Path) -> None:
    away = ScreeningClient("http://127.0.0.1:9", None, seconds=5, at_once=1)
    with pytest.raises(Away, match="is away"):
        away.screen(image)
    away.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "PERHAPS"},
        {"probability": None},
        {"probability": 1.5},
        {"warnings": [1]},
        {"model": {}},
        {"picture": {"jpeg": "*"}},
        {"heatmap": {"gif": ""}},
    ],
)
def test_what_is_no_answer_is_said(
    client: ScreeningClient, service: FakeService, image: Path, changed: dict[str, Any]
) -> None:
    service.predict = (200, {}, answer(**changed))
    with pytest.raises(Unsuccessful):
        client.screen(image)
