"""What surrounds every request: its id, the security headers, the log line, and the last catch."""

import logging
from time import perf_counter
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, respond
from service.runtime.worker_pool import ClientGone
from service.telemetry.metrics import Metrics
from service.telemetry.request_record import Observation, observed

log = logging.getLogger("service.requests")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content Security Policy Level 3: own files only, nothing inline, no frames."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

HEADERS_LIMIT: Final = 32 * 1024
"""Bytes of a request's first line and headers, all together."""

HEADERS_DETAIL: Final = (
    f"The first line and the headers are longer than {HEADERS_LIMIT // 1024} KiB together. Send "
    "the image as the body, and nothing that long in a header."
)

_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
_GONE: Final = "client-gone"
_OUR_FAULT: Final = "The request may well be right. Tell whoever runs the service its request_id."


class Edge:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics, prefix: str) -> None:
        """Wraps the application.

        Args:
            prefix: The path under which a proxy offers the service, whether it strips it or not.
        """
        self._app = app
        self._metrics = metrics
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; whatever happens inside, the caller gets an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        observation = observed(scope)
        if method == "HEAD":
            # A GET whose content the server below leaves out (RFC 9110, 9.3.2); it keeps its own
            # scope to know.
            scope = {**scope, "method": "GET"}
        app = self._app
        scope["path"] = self._tidied(scope["path"])
        if self._prefix:
            scope["root_path"] = self._prefix
            if scope["path"] == self._prefix:  # the page's own links begin where the slash is
                query = scope["query_string"].decode("latin-1")
                app = RedirectResponse(f"{self._prefix}/{query and '?'}{query}")
            elif not scope["path"].startswith(f"{self._prefix}/"):
                scope["path"] = self._prefix + scope["path"]
        start = perf_counter()
        status = 0
        # Until it is told to, such a client does not send (RFC 9110, section 10.1.1).
        unsent = any(name == b"expect" for name, _ in scope["headers"])

        async def receive_on() -> Message:
            nonlocal unsent
            unsent = False
            return await receive()

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = observation.request_id
                if observation.stages:
                    headers["Server-Timing"] = observation.server_timing()
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if unsent:  # or the next request would be taken for what was not sent of this one
                    headers["Connection"] = "close"
            await send(message)

        async def refuse(problem: Problem) -> None:
            observation.outcome = problem.kind.slug
            if not status:
                response = respond(problem, scope["path"], observation.request_id)
                await response(scope, receive, send_framed)

        try:
            if _head_bytes(scope) > HEADERS_LIMIT:
                raise Problem("headers-too-large", HEADERS_DETAIL, {"Connection": "close"})
            await app(scope, receive_on, send_framed)
        except ClientGone:
            if not observation.status:
                observation.outcome = _GONE
        except Problem as problem:  # a route's own are answered before they come here
            await refuse(problem)
        except Exception:
            log.exception("request failed", extra={"request_id": observation.request_id})
            await refuse(Problem("internal-error", _OUR_FAULT))
        finally:
            status = status or observation.status
            route = getattr(scope.get("route"), "path", "other")
            note(self._metrics, observation, route, method, status, perf_counter() - start)

    def _tidied(self, path: str) -> str:
        """A path without the slashes too many of a proxy whose address for the service ends in one.

        They stand at its beginning, or after the prefix.
        """
        before = self._prefix if path.startswith(f"{self._prefix}//") else ""
        path = path.removeprefix(before)
        return before + (f"/{path.lstrip('/')}" if path.startswith("//") else path)


def _head_bytes(scope: Scope) -> int:
    """Bytes of the request's address and headers: many pieces of them may arrive as one."""
    lines = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope.get("raw_path", b"")) + len(scope["query_string"]) + lines


def note(
    metrics: Metrics,
    observation: Observation,
    route: str,
    method: str | None,
    status: int,
    seconds: float,
) -> None:
    """Counts a request that has ended, and writes its line to the log.

    Args:
        route: The route's template, or "other".
        method: Its method, None where it was refused before that was read.
        status: The status of its answer, 0 where there was none.
    """
    metrics.answered(route, observation, seconds)
    log.log(
        logging.DEBUG if route in _QUIET else logging.INFO,
        "request",
        extra={
            "request_id": observation.request_id,
            "method": method,
            "route": route,
            "status": status,
            "outcome": observation.outcome,
            "received": observation.received,
            "ms": round(1000 * seconds, 1),
            "stages": {name: round(1000 * t, 1) for name, t in observation.stages.items()},
            "model": observation.model,
        },
    )
