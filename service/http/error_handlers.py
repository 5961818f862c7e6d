"""Turns whatever a route raises into the one shape of a problem."""

from collections.abc import Callable, Coroutine
from http import HTTPMethod
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from service.problems import Problem, respond
from service.telemetry.request_record import observed


def _respond(request: Request, problem: Problem) -> Response:
    observation = observed(request.scope)
    observation.outcome = problem.kind.slug
    return respond(problem, request.scope["path"], observation.request_id)


async def _problem(request: Request, problem: Problem) -> Response:
    return _respond(request, problem)


async def _http(request: Request, error: HTTPException) -> Response:
    """What the framework refuses by itself: an unknown address, a wrong method."""
    if error.status_code == 404:
        detail = (
            "There is nothing here. The service answers POST /predict; /docs lists all addresses."
        )
        return _respond(request, Problem("not-found", detail))
    if error.status_code == 405:
        allowed = _allowed(request)
        detail = f"Received {request.method}; this address takes {allowed}."
        return _respond(request, Problem("method-not-allowed", detail, {"Allow": allowed}))
    return _respond(request, Problem("malformed-request", str(error.detail), error.headers))


def _allowed(request: Request) -> str:
    """The methods that an address takes: Starlette tells those of its first route alone."""

    def taken(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    # The edge takes HEAD for GET.
    return ", ".join(method for method in HTTPMethod if taken(method.replace("HEAD", "GET")))


async def _validation(request: Request, error: RequestValidationError) -> Response:
    complaints = [
        f"{'.'.join(str(step) for step in found['loc'])}: {found['msg']} (got "
        f"{str(found['input'])[:80]!r})"
        for found in error.errors()
    ]
    return _respond(request, Problem("invalid-parameter", "; ".join(complaints)))


FAILURES: Final[
    dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]
] = {Problem: _problem, HTTPException: _http, RequestValidationError: _validation}
"""What FastAPI is to do with which exception."""
