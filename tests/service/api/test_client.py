"""docs/client.py against the running service."""

import importlib.util
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from tests.service.conftest import Start
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE

CLIENT = Path(__file__).resolve().parents[3] / "docs" / "client.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    specification = importlib.util.spec_from_file_location("documented_client", CLIENT)
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    sys.modules["documented_client"] = loaded
    specification.loader.exec_module(loaded)
    return loaded


def test_it_gets_typed_answers(module: ModuleType, client: httpx.Client) -> None:
    with module.Screener(base_url=client.base_url, timeout=60) as screener:
        screening = screener.screen(PNEUMONIA_LIKE, request_id="order-17")
    assert screening.label == "PNEUMONIA"
    assert screening.probability > 0.5
    assert screening.request_id == "order-17"


def test_it_raises_what_the_service_refuses(module: ModuleType, start: Start) -> None:
    service = start(api_keys=("key",))
    with (
        module.Screener(base_url=service.base_url, timeout=60) as screener,
        pytest.raises(module.Refused) as no,
    ):
        screener.screen(NORMAL_LIKE)
    assert (no.value.status, no.value.type.rpartition(":")[2]) == (401, "key-required")
    with module.Screener(
        base_url=service.base_url, headers={"X-API-Key": "key"}, timeout=60
    ) as screener:
        with pytest.raises(module.Refused, match="text file"):
            screener.screen(b"hello")
        assert screener.screen(NORMAL_LIKE).label == "NORMAL"


def test_it_asks_a_busy_service_again(module: ModuleType, start: Start) -> None:
    service = start(cores=1, queue=1)
    errors: list[Exception] = []

    def screen() -> None:
        try:
            with module.Screener(base_url=service.base_url, timeout=60) as screener:
                screener.screen(NORMAL_LIKE)
        except (module.Refused, httpx.HTTPError) as error:
            errors.append(error)

    callers = [threading.Thread(target=screen) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert errors == []


@pytest.mark.parametrize("after", ["0", "-30 s", "+1 s"])
def test_it_waits_as_long_as_a_proxy_says_in_either_form(
    module: ModuleType, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    if after != "0":
        after = format_datetime(datetime.now(UTC) + timedelta(seconds=int(after[:-2])), usegmt=True)

    def refuse(_: httpx.Request) -> httpx.Response:
        problem = {"type": "", "status": 503, "detail": "", "request_id": ""}
        headers = {"Retry-After": after, "Content-Type": "application/problem+json"}
        return httpx.Response(503, headers=headers, json=problem)

    screener = module.Screener(base_url="http://x", transport=httpx.MockTransport(refuse))
    with screener, pytest.raises(module.Refused):
        screener.screen(NORMAL_LIKE)
    assert len(waited) == module.TRIES - 1
    assert all(0 <= wait <= 1 for wait in waited)


def test_it_works_from_the_command_line(client: httpx.Client, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(NORMAL_LIKE)
    command = [sys.executable, str(CLIENT), str(client.base_url), str(image)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "label='NORMAL'" in ended.stdout
