"""Figures for Prometheus."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.openapi import problem_answers
from service.dependencies import resources

router = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses=_TEXT | problem_answers(),
)
async def metrics(request: Request) -> Response:
    """Requests, stages, queue, refusals and the model, in Prometheus' text format."""
    return Response(
        resources(request).metrics.expose(), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
