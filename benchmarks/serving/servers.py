"""Starts the servers that are compared, each as a user would, and watches their memory."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.conftest import ROOT

PEERS = Path(__file__).resolve().parent / "peers"
WORK = Path(__file__).resolve().parents[1] / ".work"


@dataclass(frozen=True)
class Server:
    """How to start one server.

    Attributes:
        name: What the table calls it.
        command: Its command line; `{port}` is replaced.
        folder: Where it runs.
        variables: Environment variables besides the usual ones.
    """

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A server that answers.

    Attributes:
        url: Where.
        ready_seconds: From the start of its process to the first good answer of its probe.
        process: Its first process.
    """

    url: str
    ready_seconds: float
    process: "subprocess.Popen[bytes]"

    def memory(self) -> int:
        """Resident memory of the process and all that it started, in bytes."""
        first = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (first, *first.children(recursive=True)))


def peak_memory(pid: int) -> int:
    """The most memory that a process ever had resident, in bytes (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def peer_python() -> Path:
    """The Python of an environment of its own with the peers, made if it is not there."""
    python = WORK / "peers" / "bin" / "python"
    made = WORK / "peers" / ".made"
    if not made.exists():
        print(
            "Installing Flask, LitServe and BentoML into an environment of their own ...",
            flush=True,
        )
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "peers")], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
        subprocess.run([*pip, "-c", "constraints.txt"], cwd=PEERS, check=True)
        made.touch()
    return python


def the_service(models: Path) -> Server:
    """The service itself, with its defaults."""
    variables = {"XRAY_MODELS": str(models), "XRAY_PORT": "{port}", "XRAY_LOG_FORMAT": "json"}
    return Server("this service", (sys.executable, "-m", "service"), variables=variables)


def the_peers(bundle: Path) -> list[Server]:
    """What a user would write instead, with the same network."""
    python = str(peer_python())
    h5, onnx = str(bundle / "model.h5"), str(bundle / "model.onnx")
    bento = (python, "-m", "bentoml", "serve", "bentoml_app:Screening", "--port", "{port}")
    return [
        Server("Flask + model.predict", (python, "flask_app.py", h5, "{port}"), PEERS),
        Server("LitServe, 2 workers", (python, "litserve_app.py", onnx, "{port}"), PEERS),
        Server("BentoML, 2 workers", bento, PEERS, {"MODEL": onnx, "BENTOML_DO_NOT_TRACK": "1"}),
    ]


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """Runs a server on a free port for the length of a block.

    Raises:
        RuntimeError: It does not answer within two minutes; the message names its log.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    log = WORK / f"{server.name.split()[0].strip(',')}.log"
    WORK.mkdir(exist_ok=True)
    variables = {name: value.format(port=port) for name, value in server.variables.items()}
    start = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [part.format(port=port) for part in server.command],
            cwd=server.folder,
            env=os.environ | variables,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, log)
        yield Running(url, time.perf_counter() - start, process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):  # it goes on, or left its workers behind
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(12_000):
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError(f"the server did not start; its log is {log}")
