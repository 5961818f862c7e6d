"""The service as its own process: start, signals, exit codes, swaps under load."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from service.settings import PREFIX
from tests.service.conftest import wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, publish_tiny, tiny_draft

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A running `python -m service`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log
        wait_until(lambda: self._address() is not None or process.poll() is not None)
        address = self._address()
        assert address, log.read_text()
        self.client = httpx.Client(base_url=address, timeout=60)
        wait_until(lambda: self.client.get("/readyz").status_code == 200)

    def _address(self) -> str | None:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text())
        return found and found.group()

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(60)


def environment(**settings: object) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) and k != "PORT"}
    return plain | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def server(models: Path, log: Path, **settings: object) -> Iterator[Server]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "service"],
            cwd=ROOT,
            env=environment(port=0, models=models, **settings),
            stderr=stream,
            text=True,
        )
    try:
        running = Server(process, log)
        with closing(running.client):
            yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish_tiny(tmp_path / "models")
    return tmp_path / "models"


def test_sigterm_finishes_what_is_in_flight(models: Path, tmp_path: Path) -> None:
    with server(models, tmp_path / "log", drain_seconds=1) as running:
        uploading = threading.Event()
        statuses = []

        def upload() -> Iterator[bytes]:
            yield NORMAL_LIKE[:200]
            uploading.set()
            time.sleep(1.5)
            yield NORMAL_LIKE[200:]

        def post() -> None:
            statuses.append(running.client.post("/predict", content=upload()).status_code)

        slow = threading.Thread(target=post)
        slow.start()
        uploading.wait(30)
        running.process.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=running.client.base_url, timeout=60) as other:
            wait_until(lambda: other.get("/readyz").status_code == 503)
            assert other.post("/predict", content=NORMAL_LIKE).status_code == 200
        slow.join()
        assert statuses == [200]
        assert running.process.wait(60) == 0


def test_ctrl_c_stops_at_once_and_is_no_failure(models: Path, tmp_path: Path) -> None:
    with server(models, tmp_path / "log", drain_seconds=60) as running:
        assert running.stop(signal.SIGINT) == 0


def test_an_upload_that_never_ends_does_not_hold_up_the_stop(models: Path, tmp_path: Path) -> None:
    settings = {"drain_seconds": 0, "grace_seconds": 1}
    with server(models, tmp_path / "log", **settings) as running:
        address = ("127.0.0.1", running.client.base_url.port or 0)
        with socket.create_connection(address) as hanging:
            hanging.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
            time.sleep(0.2)
            assert running.stop() == 0


def test_a_new_bundle_is_taken_up_under_load_without_a_failure(
    models: Path, tmp_path: Path
) -> None:
    with server(models, tmp_path / "log") as running:
        stopping = threading.Event()
        statuses: set[int] = set()
        versions: set[str] = set()

        def load() -> None:
            with httpx.Client(base_url=running.client.base_url, timeout=60) as client:
                while not stopping.is_set():
                    response = client.post("/predict", files={"file": NORMAL_LIKE})
                    statuses.add(response.status_code)
                    versions.add(response.json()["model"]["version"])

        callers = [threading.Thread(target=load) for _ in range(4)]
        for caller in callers:
            caller.start()
        wait_until(lambda: bool(versions))
        for step in range(3):
            new = publish_tiny(models, tiny_draft(threshold=0.3 + step / 10)).name
            wait_until(lambda new=new: new in versions)  # type: ignore[misc]
        stopping.set()
        for caller in callers:
            caller.join()
        assert statuses == {200}
        assert len(versions) == 4


def test_a_port_in_use_is_said_and_is_a_failure(models: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(environment(models=models, port=port))
    assert ended.returncode not in (0, -signal.SIGTERM)
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_wrong_settings_are_said_and_exit_with_2() -> None:
    ended = run(environment(cores="many") | {"PORT": "http"})
    assert ended.returncode == 2
    assert "XRAY_CORES" in ended.stderr
    assert "PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_lists_the_settings() -> None:
    ended = run(environment(), "--help")
    assert ended.returncode == 0
    assert "XRAY_BODY_LIMIT" in ended.stdout


def test_screen_works_from_the_command_line(models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(NORMAL_LIKE)
    out = tmp_path / "results.csv"
    ended = run(environment(models=models), "screen", str(tmp_path / "a.png"), "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    assert "NORMAL" in out.read_text()


def run(variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
