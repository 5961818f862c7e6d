"""The real service, started as a user starts it, on a port of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.settings import PREFIX

PATIENCE = 120
"""Seconds to wait for what takes one or two: the machine may be busy."""

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-m", "service")


def program(name: str) -> str:
    """The path of a program that the machine should have; skips where it has not, unless CI is set.

    `.ci/run` installs those that the tests run.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin")
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"there is no {name} on this machine")
    assert path, f"install {name}"
    return path


def free_port() -> int:
    """A port of this machine that nobody listens on, for programs that cannot choose one."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Service:
    """A running `python -m service`.

    Attributes:
        process: The process.
        url: Its address, with a slash at its end.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: int) -> None:
        self.process = process
        self.url = self._address(log)
        for _ in range(PATIENCE * 20):
            if httpx.get(f"{self.url}readyz").status_code == 200:
                return
            time.sleep(0.05)
        raise TimeoutError(f"{self.url} was not ready in time")

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Sends the signal; the exit code."""
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE)

    def _address(self, log: int) -> str:
        """The address that the log tells."""
        for _ in range(PATIENCE * 20):
            text = os.pread(log, 1 << 20, 0).decode()
            for line in text.splitlines():
                if "running on http" in line:
                    event = str(json.loads(line)["event"])
                    return event.split("running on ")[1].split(" ")[0] + "/"
            if self.process.poll() is not None:
                raise RuntimeError(f"the service did not start:\n{text}")
            time.sleep(0.05)
        raise TimeoutError(f"the service did not say where it listens:\n{text}")


def environment(**settings: object) -> dict[str, str]:
    """The environment with these settings and no others, as `XRAY_` variables."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) and k != "PORT"}
    return plain | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}


def run(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m service` to its end, in this environment."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        cwd=_ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def launched(models: Path, **settings: object) -> Iterator[Service]:
    """Runs the service, ready when the block begins, and stops it at its end.

    Args:
        models: The models folder.
        settings: More settings, as `XRAY_` variables without the prefix.
    """
    variables = {"port": 0, "models": models, "log_format": "json", "drain_seconds": 0} | settings
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            _COMMAND, cwd=_ROOT, env=environment(**variables), stdout=log, stderr=log
        )
        try:
            yield Service(process, log.fileno())
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextmanager
def serving(models: Path, **settings: object) -> Iterator[str]:
    """The same, for callers who need no more than its address."""
    with launched(models, **settings) as service:
        yield service.url
