"""One image in, one answer out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.image_upload import screen_upload
from service.api.openapi import IMAGE_PROBLEMS, image_body, problem_answers
from service.api.schemas import Answer
from service.screening.heatmap_image import Drawing
from service.telemetry.request_record import observed

router = APIRouter(tags=["screening"])


@router.post(
    "/predict",
    summary="Screen one image",
    response_model=Answer,
    responses=problem_answers(*IMAGE_PROBLEMS, "invalid-parameter"),
    openapi_extra=image_body(),
)
async def predict(
    request: Request,
    heatmap: Annotated[bool, Query(description="also draw the heatmap")] = False,
    picture: Annotated[bool, Query(description="also give the image back as it was read")] = False,
) -> Response:
    """Answers with label and probability for one chest X-ray: a second opinion, never a diagnosis.

    Send it as the multipart field `file`, or as the body itself. JPEG, PNG, TIFF, BMP, WebP and
    DICOM are told by their content.
    """
    drawing = Drawing.LAYER if heatmap else None
    screening = await screen_upload(request, drawing=drawing, pictured=picture)
    answer = Answer.of(screening, observed(request.scope).request_id)
    return Response(answer.model_dump_json(), media_type="application/json")
