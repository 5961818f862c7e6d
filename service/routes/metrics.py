"""Figures for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.resources import resources

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Requests, stages, queue, refusals and the model, in Prometheus' text format."""
    return Response(
        resources(request).metrics.expose(), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
