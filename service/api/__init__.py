"""The service's routes, a file for each thing that a caller can ask for."""

from typing import Any

from fastapi import APIRouter, Depends

from service.api import docs, explain, health, metrics, model, page, predict
from service.api.access import require_key
from service.api.openapi import problem_answers


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
