"""The real service, started as a user starts it, on a port of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PATIENCE = 60
"""Seconds to wait for what takes one or two: the machine may be busy."""


@contextmanager
def serving(models: Path, wait: str = "readyz", **settings: str) -> Iterator[str]:
    """Runs the service and stops it at the end.

    Args:
        models: The models folder.
        wait: The probe that must answer 200 first.
        settings: More settings, as `XRAY_` variables without the prefix.

    Yields:
        The service's address, with a slash at its end.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PORT"}
    environment |= {"XRAY_PORT": "0", "XRAY_MODELS": str(models), "XRAY_LOG_FORMAT": "json"}
    environment |= {"XRAY_DRAIN_SECONDS": "0"}
    environment |= {f"XRAY_{name.upper()}": value for name, value in settings.items()}
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "service"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = _address(process, log.fileno())
            _await(f"{url}{wait}")
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _address(process: subprocess.Popen[bytes], log: int) -> str:
    """The address that the log tells."""
    for _ in range(PATIENCE * 20):
        text = os.pread(log, 1 << 20, 0).decode()
        for line in text.splitlines():
            if "running on http" in line:
                event = str(json.loads(line)["event"])
                return event.split("running on ")[1].split(" ")[0] + "/"
        if process.poll() is not None:
            raise RuntimeError(f"the service did not start:\n{text}")
        time.sleep(0.05)
    raise TimeoutError(f"the service did not say where it listens:\n{text}")


def _await(probe: str) -> None:
    for _ in range(PATIENCE * 20):
        if httpx.get(probe).status_code == 200:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{probe} did not answer 200")
