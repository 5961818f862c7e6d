"""Alive and ready, or not."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from service.api import image_upload
from service.screening.pipeline import screen
from tests.service.api.test_refusals import expect
from tests.service.conftest import Start, wait_until
from tests.service.http.connections import SCREEN, connection
from tests.service.tiny_bundle import NORMAL_LIKE


@contextmanager
def hanging(client: httpx.Client, monkeypatch: pytest.MonkeyPatch, images: int) -> Iterator[None]:
    """So many images that hang their decoder for the length of a block, as a damaged one might."""
    free = threading.Event()
    hung = threading.Semaphore(images)

    def hang(*arguments: Any) -> Any:
        if hung.acquire(blocking=False):
            free.wait(60)
        return screen(*arguments)

    monkeypatch.setattr(image_upload, "screen", hang)
    try:
        with ExitStack() as stack:
            for _ in range(images):
                stack.enter_context(connection(client)).sendall(SCREEN)
            wait_until(lambda: f"xray_workers_hung {images}.0" in client.get("/metrics").text)
            yield
    finally:
        free.set()


def test_a_service_of_which_all_workers_hang_is_to_be_restarted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(cores=2, answer_seconds=0.2)
    with hanging(client, monkeypatch, 2):
        for probe in ("/livez", "/readyz"):
            detail = expect(client.get(probe), 503, "workers-hung").detail
            assert "Restart the service" in detail
    wait_until(lambda: client.get("/livez").status_code == 200)


def test_a_service_with_a_worker_left_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(cores=2, answer_seconds=2)
    with hanging(client, monkeypatch, 1):
        assert client.post("/predict", content=NORMAL_LIKE).status_code == 200
        assert client.get("/livez").json() == {"status": "alive"}
        assert client.get("/readyz").status_code == 200


def test_busy_workers_do_not_hang(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start(cores=1)
    seen: list[int] = []

    def probe(*arguments: Any) -> Any:
        seen.append(client.get("/livez").status_code)
        return screen(*arguments)

    monkeypatch.setattr(image_upload, "screen", probe)
    assert client.post("/predict", content=NORMAL_LIKE).status_code == 200
    assert seen == [200]
