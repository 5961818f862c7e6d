"""The service's routes, a file for each thing that a caller can ask for."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.api import docs, explain, health, metrics, model, page, predict
from service.api.openapi import problem_answers
from service.auth import HEADER
from service.dependencies import resources

_header = APIKeyHeader(name=HEADER, auto_error=False, description="one of the keys that are set")
_bearer = HTTPBearer(
    auto_error=False,
    description=f"the same key, for programs that cannot set {HEADER}, such as Prometheus",
)


async def require_key(
    request: Request,
    key: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Lets a request with a known key pass.

    Raises:
        Problem: `key-required`.
    """
    offered = bearer.credentials if key is None and bearer is not None else key
    resources(request).keys.check(offered)


def routers(keys: bool) -> list[dict[str, Any]]:
    """All routers, as arguments of `include_router`.

    Args:
        keys: Whether API keys are set: probes, page, model and documentation stay open, the rest
            asks for one.
    """
    closed: dict[str, Any] = {}
    if keys:
        closed = {
            "dependencies": [Depends(require_key)],
            "responses": problem_answers("key-required"),
        }
    guarded = [predict.router, explain.router, metrics.router]
    open_to_all: list[APIRouter] = [health.router, model.router, docs.router, page.router]
    return [{"router": router, **closed} for router in guarded] + [
        {"router": router} for router in open_to_all
    ]
