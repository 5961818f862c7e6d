"""The service as its own process: start, signals, exit codes, swaps under load."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import environment, launched, run
from tests.service.conftest import wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, publish_tiny, tiny_draft


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish_tiny(tmp_path / "models")
    return tmp_path / "models"


def test_sigterm_finishes_what_is_in_flight(models: Path) -> None:
    with launched(models, drain_seconds=1) as running:
        uploading = threading.Event()
        statuses = []

        def upload() -> Iterator[bytes]:
            yield NORMAL_LIKE[:200]
            uploading.set()
            time.sleep(1.5)
            yield NORMAL_LIKE[200:]

        def post() -> None:
            statuses.append(
                httpx.post(running.url + "predict", content=upload(), timeout=60).status_code
            )

        slow = threading.Thread(target=post)
        slow.start()
        uploading.wait(30)
        running.process.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=running.url, timeout=60) as other:
            wait_until(lambda: other.get("/readyz").status_code == 503)
            assert "Retry-After" in other.get("/readyz").headers
            assert other.post("/predict", content=NORMAL_LIKE).status_code == 200
        slow.join()
        assert statuses == [200]
        assert running.process.wait(60) == 0


def test_ctrl_c_stops_at_once_and_is_no_failure(models: Path) -> None:
    with launched(models, drain_seconds=60) as running:
        assert running.stop(signal.SIGINT) == 0


def test_an_upload_that_never_ends_does_not_hold_up_the_stop(models: Path) -> None:
    with launched(models, grace_seconds=1) as running:
        address = ("127.0.0.1", httpx.URL(running.url).port or 0)
        with socket.create_connection(address) as hanging:
            hanging.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
            time.sleep(0.2)
            assert running.stop() == 0


def test_a_new_bundle_is_taken_up_under_load_without_a_failure(models: Path) -> None:
    with launched(models) as running:
        stopping = threading.Event()
        statuses: set[int] = set()
        versions: set[str] = set()

        def load() -> None:
            with httpx.Client(base_url=running.url, timeout=60) as client:
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


def test_a_port_in_use_is_said_and_nothing_is_started(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(environment(models=models, port=port))
    assert ended.returncode == 2
    title, complaint = ended.stderr.splitlines()
    assert title == "The service does not start:"
    assert complaint.startswith(f"XRAY_PORT, or PORT: cannot listen on port {port} of 127.0.0.1")
    assert "address already in use" in complaint


# One that no name service knows, one that is no machine's own (RFC 5737), one that is no name.
@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no..name"])
def test_a_wrong_host_is_said_and_nothing_is_started(models: Path, host: str) -> None:
    ended = run(environment(models=models, port=0, host=host))
    assert ended.returncode == 2
    title, complaint = ended.stderr.splitlines()
    assert title == "The service does not start:"
    assert complaint.startswith(f"XRAY_HOST: cannot listen on '{host}'")


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
