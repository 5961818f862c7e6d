"""Which pages of other origins may call (CORS: the Fetch standard, section 3.3)."""

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from service.auth import HEADER
from service.problems import Problem
from service.settings import Settings

_METHODS: Final = ["GET", "POST"]
_HEADERS: Final = [HEADER, "X-Request-ID", "Content-Type"]
_EXPOSED: Final = ["X-Request-ID", "Server-Timing", "Retry-After"]


class Origins(CORSMiddleware):
    """Lets pages of the origins that are set call, and tells others no as every error is told."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(app, settings.cors_origins, _METHODS, _HEADERS, expose_headers=_EXPOSED)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answers the question that a browser asks before a page of another origin may send.

        Raises:
            Problem: `origin-not-allowed`.
        """
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        headers = request_headers.get("access-control-request-headers", "none")
        raise Problem(
            "origin-not-allowed",
            "Received a browser's question whether a page of "
            f"{request_headers['origin'][:80]} may send a "
            f"{request_headers['access-control-request-method'][:20]} with the headers "
            f"{headers[:200]}. Accepted are the origins of XRAY_CORS_ORIGINS, "
            f"{' and '.join(_METHODS)}, and {', '.join(_HEADERS)}. Have whoever runs the service "
            "name the origin there.",
        )
