"""The service's routes, a file for each thing that a caller can ask for."""

from typing import Any

from fastapi import APIRouter, Depends

from service.routes import docs, explain, health, metrics, model, page, predict
from service.routes.access import require_key


def routers(keys: bool) -> list[dict[str, Any]]:
    """All routers, as arguments of `include_router`.

    Args:
        keys: Whether API keys are set: probes, page and documentation stay open, the rest asks for
            one.
    """
    closed = [Depends(require_key)] if keys else []
    guarded = [predict.router, explain.router, model.router, metrics.router]
    open_to_all: list[APIRouter] = [health.router, docs.router, page.router]
    return [{"router": router, "dependencies": closed} for router in guarded] + [
        {"router": router} for router in open_to_all
    ]
