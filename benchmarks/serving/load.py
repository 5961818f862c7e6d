"""Load on a server, from wrk: a separate process that costs little."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "post.lua"
BOUNDARY = "benchmark"


@dataclass(frozen=True)
class Load:
    """What was measured.

    Attributes:
        seconds: How long it took.
        requests: How many answers came.
        p50_ms: Median latency in milliseconds.
        p99_ms: 99th percentile.
        refused: Answers that were no 2xx.
        broken: Connections that failed.
    """

    seconds: float
    requests: int
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int

    @property
    def requests_a_second(self) -> float:
        """Good answers a second."""
        return (self.requests - self.refused) / self.seconds


def form_with(image: bytes, path: Path) -> Path:
    """Writes the body of a multipart upload of an image, as curl sends it."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="image.jpeg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    path.write_bytes(head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode())
    return path


def load(url: str, body: Path, connections: int, seconds: int) -> Load:
    """Posts the form that `form_with` wrote again and again, for so many seconds.

    Raises:
        RuntimeError: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk makes the load and is not installed: apt-get install wrk")
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", str(SCRIPT)]
    variables = {"BODY": str(body), "TYPE": f"multipart/form-data; boundary={BOUNDARY}"}
    ended = subprocess.run(
        [*wrk, url], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return Load(**json.loads(ended.stdout.strip().splitlines()[-1]))
