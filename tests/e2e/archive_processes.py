"""What an archive runs on, as real processes: storage that speaks S3, a scheduler, its workers."""

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from pyarrow.fs import S3FileSystem

from tests.conftest import ROOT
from tests.e2e.process import PATIENCE, environment

Process = subprocess.Popen[bytes]
SCREEN = (sys.executable, "-m", "service", "screen")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float = 2 * PATIENCE) -> None:
    """Waits for something to become true; fails when it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether somebody listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command: list[str], log: Path, **variables: str) -> Iterator[Process]:
    """A process for the length of a block, in the project's folder; its output goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment() | variables, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


class Relay:
    """A way to a server on this machine that can be closed and opened.

    Attributes:
        port: Where it listens while it is open.
    """

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._server: socketserver.ThreadingTCPServer | None = None
        self._connections: list[socket.socket] = []

    def open(self) -> None:
        """Passes on what comes."""
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", relay._to_port)) as beyond:
                    relay._connections += [self.request, beyond]
                    back = threading.Thread(target=_pump, args=(beyond, self.request))
                    back.start()
                    _pump(self.request, beyond)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Refuses connections, and ends those that there are."""
        if self._server:
            self._server.shutdown()
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._server.server_close()
            self._server = None


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Storage:
    """A server that speaks S3 (moto), behind a relay.

    Attributes:
        relay: What programs reach it by.
        variables: What they read to do so.
    """

    def __init__(self, port: int) -> None:
        self.relay = Relay(port)
        self.relay.open()
        self.variables = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.relay.port}",
        }
        self._url = f"http://127.0.0.1:{port}"

    def put(self, path: str, data: bytes = b"") -> None:
        """Stores an object, `bucket/key`, or makes a bucket."""
        kind = {"Content-Type": "application/octet-stream"}
        request = Request(f"{self._url}/{path}", data, kind, method="PUT")
        urlopen(request, timeout=PATIENCE).close()

    def get(self, path: str) -> bytes:
        """The list of a bucket's objects, which anybody may have here."""
        with urlopen(f"{self._url}/{path}", timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def read(self, path: str) -> bytes:
        """An object's bytes, which are its owner's alone."""
        files = S3FileSystem(
            access_key=self.variables["AWS_ACCESS_KEY_ID"],
            secret_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region=self.variables["AWS_REGION"],
            endpoint_override=self._url,
        )
        with files.open_input_stream(path) as object_:
            return bytes(object_.read())


@contextmanager
def storage(log: Path) -> Iterator[Storage]:
    """A server with two empty buckets, `archive` and `results`."""
    beside = Path(sys.executable).with_name("moto_server")
    command = str(beside) if beside.exists() else shutil.which("moto_server")
    if command is None:
        assert not os.environ.get("CI"), "moto is not installed"
        pytest.skip("no storage to test with: pip install 'moto[s3]' flask flask-cors")
    port = free_port()
    with running([command, "-H", "127.0.0.1", "-p", str(port)], log):
        wait_until(lambda: listens(port))
        server = Storage(port)
        server.put("archive")
        server.put("results")
        try:
            yield server
        finally:
            server.relay.close()


@contextmanager
def scheduler(port: int, log: Path) -> Iterator[Process]:
    """A Dask scheduler, listening when the block begins."""
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
    with running([sys.executable, "-m", "dask", "scheduler", *arguments], log) as process:
        wait_until(lambda: listens(port))
        yield process


@contextmanager
def worker(port: int, log: Path, **variables: str) -> Iterator[Process]:
    """A worker of the scheduler at a port."""
    arguments = ["--no-nanny", "--nthreads", "2", "--no-dashboard", "--host", "127.0.0.1"]
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, "-m", "dask", "worker", address, *arguments]
    with running(command, log, **variables) as process:
        yield process
