"""Fixtures: a tiny bundle, and the service with that bundle on a real socket, in a thread."""

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.http.server import make_server
from service.settings import Settings
from service.telemetry.logging import set_up_logs
from tests.service.tiny_bundle import publish_tiny


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that nobody changes."""
    models = tmp_path_factory.mktemp("models")
    publish_tiny(models)
    return models


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder to change."""
    folder = tmp_path / "models"
    publish_tiny(folder)
    return folder


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the service logs, as JSON lines."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    set_up_logs("auto", "debug", stream)
    for client in ("httpx", "httpcore"):
        logging.getLogger(client).setLevel("WARNING")
    yield stream
    root.handlers, root.level = handlers, level


@contextmanager
def serving(ready: bool = True, **settings: Any) -> Iterator[httpx.Client]:
    """Serves with these settings for the length of a block; waits until the model is loaded."""
    chosen = Settings(port=0, **{"cores": 2, **settings})
    server = make_server(create_app(chosen), chosen)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            if ready:
                wait_until(lambda: client.get("/readyz").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join()


Start = Callable[..., httpx.Client]


@pytest.fixture
def start(tiny_models: Path) -> Iterator[Start]:
    """Starts the service with the settings given."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(**{"models": tiny_models, **settings}))


@pytest.fixture(scope="session")
def client(tiny_models: Path) -> Iterator[httpx.Client]:
    """The service with its defaults, one for all tests."""
    with serving(models=tiny_models) as client:
        yield client


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    """Waits for something to become true; fails when it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


def logged(log: io.StringIO, **facts: object) -> dict[str, Any]:
    """The only line with these facts; it is waited for, as it comes after the answer."""

    def found() -> list[dict[str, Any]]:
        lines = map(json.loads, log.getvalue().splitlines())
        return [line for line in lines if facts.items() <= line.items()]

    wait_until(lambda: bool(found()))
    (line,) = found()
    return line
