"""Is the process alive, and is it ready to answer?"""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service.api.openapi import problem_answers
from service.dependencies import resources
from service.problems import Problem

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process runs, its event loop turns, and a worker is left."""

    status: str = Field("alive", examples=["alive"])


class Ready(BaseModel):
    """A model is loaded and warm."""

    status: str = Field("ready", examples=["ready"])
    model: str = Field(
        description="the version that is served", examples=["2026-11-23T060000Z-3f2a9c1d"]
    )
    complaint: str | None = Field(
        description="why the model that was asked for is not the one that is served, "
        "or what the models folder holds that asks for none",
        examples=[None],
    )


@router.get("/livez", summary="Is the process alive?", responses=problem_answers("workers-hung"))
async def livez(request: Request) -> Alive:
    """Answers 200 as long as the process can do its work; 503 where only a restart helps."""
    resources(request).capacity.check()
    return Alive()


@router.get(
    "/readyz", summary="Can it answer?", responses=problem_answers("not-ready", "workers-hung")
)
async def readyz(request: Request) -> Ready:
    """Answers 200 while a model is served; 503 before one is loaded, and while stopping."""
    shared = resources(request)
    if shared.draining:
        detail = "The service is stopping. Send requests to another instance."
        raise Problem("not-ready", detail, {"Retry-After": "1"})
    shared.capacity.check()
    return Ready(model=shared.model().manifest.version, complaint=shared.engine.complaint)
