"""Probes and metrics, on a port of their own: `/livez`, `/readyz`, `/metrics`."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_JSON: Final = "application/json"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

State = Callable[[], tuple[bool, dict[str, Any]]]
"""Whether all is well, and what there is to say about it."""


def health_server(
    address: tuple[str, int], alive: State, ready: State, metrics: Callable[[], bytes]
) -> ThreadingHTTPServer:
    """A server of the three addresses, bound and not yet running.

    Args:
        address: Host and port to listen on.
        alive: What `/livez` says: 200 or 503.
        ready: What `/readyz` says: 200 or 503.
        metrics: What `/metrics` says, in Prometheus' text format.

    Raises:
        OSError: The address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "gateway"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, _PROMETHEUS, metrics())
            elif path in {"/livez", "/readyz"}:
                well, said = (alive if path == "/livez" else ready)()
                self._answer(200 if well else 503, _JSON, json.dumps(said).encode())
            else:
                known = b"There is /livez, /readyz and /metrics.\n"
                self._answer(404, "text/plain; charset=utf-8", known)

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Probes come every few seconds: no news."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A probe that hangs up is no news."""

    return Server(address, Handler)
