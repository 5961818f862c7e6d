"""One image in, the heatmap over it out."""

from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.image_upload import screen_upload
from service.api.openapi import IMAGE_PROBLEMS, image_body, problem_answers
from service.problems import Problem
from service.screening.heatmap_image import Drawing

router = APIRouter(tags=["screening"])

_PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/explain",
    summary="Draw the heatmap over one image",
    response_class=Response,
    responses=_PNG | problem_answers(*IMAGE_PROBLEMS, "no-heatmap"),
    openapi_extra=image_body(),
)
async def explain(request: Request) -> Response:
    """Answers with a PNG of the image's own size, up to 1024 pixels along the longer side.

    Colours show where the evidence for pneumonia lies, the strongest in yellow; they say nothing of
    how likely it is.
    """
    screening = await screen_upload(request, drawing=Drawing.OVERLAY)
    if screening.overlay is None:
        raise Problem("no-heatmap", "The model that is served gives no heatmap.")
    return Response(screening.overlay.data, media_type="image/png")
