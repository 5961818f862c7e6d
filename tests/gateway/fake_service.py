"""A service that answers as docs/api.md says, without a network: what the gateway asks of it."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from tests.phantoms import chest_phantom
from tests.shared.imaging.pictures import encode

VERSION = "2026-11-23T060000Z-3f2a9c1d"
_PICTURE = encode(chest_phantom(np.random.default_rng(3), True, 200), "JPEG")
_HEATMAP = encode(np.full((224, 224, 4), (240, 249, 33, 128), np.uint8), "PNG")


def answer(**members: Any) -> dict[str, Any]:
    """An answer of /predict, with some members changed."""
    usual = {
        "label": "PNEUMONIA",
        "probability": 0.934,
        "probabilities": {"NORMAL": 0.066, "PNEUMONIA": 0.934},
        "causes": None,
        "threshold": 0.41,
        "needs_review": False,
        "reliable": True,
        "warnings": [],
        "heatmap": {"png": base64.b64encode(_HEATMAP).decode(), "width": 224, "height": 224},
        "picture": {"jpeg": base64.b64encode(_PICTURE).decode(), "width": 200, "height": 200},
        "model": {"version": VERSION, "sha256": 16 * "3f2a"},
        "request_id": "0f3a6c1d9b2e4857",
    }
    return usual | members


@dataclass
class FakeService:
    """What it says, which may be changed while it runs, and what it was asked.

    Attributes:
        predict: Status, headers and JSON that it answers.
        asked: SOP Instance UIDs that came.
        keys: The API keys that were sent.
        before: Is called while a request waits for its answer.
    """

    predict: tuple[int, dict[str, str], dict[str, Any]] = field(
        default_factory=lambda: (200, {}, answer())
    )
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    url: str = ""

    def says(self, **members: Any) -> None:
        """Has it answer with these members."""
        self.predict = (200, {}, answer(**members))

    def refuses(self, status: int, slug: str, **headers: str) -> None:
        """Has it answer with a problem."""
        problem = {
            "type": f"urn:chest-xray-screening:problem:{slug}",
            "title": "A problem",
            "status": status,
            "detail": "Received something – accepted is something else.",
            "instance": "/predict",
            "request_id": "0f3a6c1d9b2e4857",
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.predict = (status, named, problem)


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """Runs one on a free port of loopback."""
    service = FakeService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.keys.append(self.headers.get("X-API-Key"))
            service.before()
            assert self.path == "/predict?heatmap=true&picture=true"
            service.asked.append(str(dcmread(DicomBytesIO(body)).SOPInstanceUID))
            status, headers, document = service.predict
            kind = "application/json" if status == 200 else "application/problem+json"
            self._send(status, {"Content-Type": kind} | headers, json.dumps(document).encode())

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
