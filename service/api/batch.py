"""Many images in, a line about each out."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from service.api.batch_screening import Batch, Line
from service.api.reference import BATCH_PROBLEMS, batch_body, problem_answers
from service.dependencies import resources
from service.problems import Problem

router = APIRouter(tags=["screening"])

MEDIA_TYPE: Final = "application/x-ndjson"


class LineByLine(Response):
    """Sends each line as it is done, while the upload may still be coming in.

    Starlette's streaming response listens for a hang-up meanwhile, and so would swallow the upload.
    """

    def __init__(self, first: Line, rest: AsyncGenerator[Line]) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer; what is left of the batch is dropped where that is not possible."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with aclosing(self._rest):
            await send(start)
            await send(_body(self._first))
            async for line in self._rest:
                await send(_body(line))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(line: Line) -> dict[str, Any]:
    text = json.dumps(line, ensure_ascii=False) + "\n"
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


@router.post(
    "/predict/batch",
    summary="Screen many images",
    status_code=200,
    response_class=LineByLine,
    responses={
        200: {
            "description": "A line about each file, in order, each a JSON object",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/BatchLine"}}},
        },
        **problem_answers(*BATCH_PROBLEMS),
    },
    openapi_extra=batch_body(),
)
async def predict_batch(request: Request) -> Response:
    """Answers with a line of JSON about each file, in their order, as they are done.

    Send each image as a multipart field `file`. A file that is refused has its problem in its line;
    the others are answered all the same.
    """
    try:
        lines = Batch(request).lines()
        return LineByLine(await anext(lines), lines)
    except Problem as problem:
        resources(request).metrics.refused(problem.kind.slug)
        raise
