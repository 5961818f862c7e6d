"""Every error that a caller can meet, in one shape (RFC 9457, `application/problem+json`).

A type's `slug` never changes: programs may rely on it. `docs/api.md` lists them all, and a test
holds it to that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from shared.decoding import ImageRefused, RefusalReason

TYPE_PREFIX = "urn:chest-xray-screening:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem.

    Attributes:
        slug: Its stable name, the last part of `type`.
        status: The HTTP status that goes with it.
        title: What it is, in words that do not change from one occurrence to the next.
    """

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The URI that identifies this kind of problem."""
        return TYPE_PREFIX + self.slug


class Problem(Exception):
    """A request that cannot be answered as asked.

    Attributes:
        kind: Which problem.
        detail: What was received, what is accepted, and what to do.
        headers: Headers that the answer carries, such as `Retry-After`.
    """

    def __init__(
        self, kind: ProblemType, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})


MALFORMED_REQUEST = ProblemType("malformed-request", 400, "The request is not valid HTTP")
MALFORMED_UPLOAD = ProblemType("malformed-upload", 400, "The upload cannot be read")
NO_FILE = ProblemType("no-file", 400, "There is no image in the request")
SEVERAL_FILES = ProblemType("several-files", 400, "There is more than one file in the request")
UNKNOWN_FIELD = ProblemType("unknown-field", 400, "The form has a field that is not known")
EMPTY_FILE = ProblemType("empty-file", 400, "The file is empty")
KEY_REQUIRED = ProblemType("key-required", 401, "An API key is required")
NOT_FOUND = ProblemType("not-found", 404, "There is nothing at this address")
METHOD_NOT_ALLOWED = ProblemType("method-not-allowed", 405, "This address takes another method")
UPLOAD_TOO_SLOW = ProblemType("upload-too-slow", 408, "The upload did not arrive in time")
UPLOAD_TOO_LARGE = ProblemType("upload-too-large", 413, "The upload is too large")
IMAGE_TOO_LARGE = ProblemType("image-too-large", 413, "The image has too many pixels")
IMAGE_TOO_COSTLY = ProblemType("image-too-costly", 413, "Decoding the image takes too much memory")
TOO_MANY_FILES = ProblemType("too-many-files", 413, "There are too many files in the batch")
UNSUPPORTED_FORMAT = ProblemType("unsupported-format", 415, "The file's format is not accepted")
DICOM = ProblemType("dicom", 415, "DICOM files are not accepted")
ANIMATED = ProblemType("animated-image", 415, "The image has more than one frame")
INVALID_PARAMETER = ProblemType("invalid-parameter", 422, "A parameter is wrong")
TRUNCATED = ProblemType("truncated-image", 422, "The image is cut off")
CORRUPT = ProblemType("corrupt-image", 422, "The image is damaged")
IMAGE_TOO_SMALL = ProblemType("image-too-small", 422, "The image has too few pixels")
NOT_A_CHEST_XRAY = ProblemType("not-a-chest-xray", 422, "The image is not a chest X-ray")
NO_HEATMAP = ProblemType("no-heatmap", 422, "The model has no heatmap")
HEADERS_TOO_LARGE = ProblemType("headers-too-large", 431, "The request's headers are too large")
INTERNAL = ProblemType("internal-error", 500, "The service failed to answer")
OVERLOADED = ProblemType("overloaded", 503, "The service is busy")
NOT_READY = ProblemType("not-ready", 503, "The service is not ready")
TOOK_TOO_LONG = ProblemType("took-too-long", 503, "The answer took too long")

PROBLEMS: Final[tuple[ProblemType, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, ProblemType)
)
"""All of them."""

_REFUSALS: Final[dict[RefusalReason, ProblemType]] = {
    RefusalReason.EMPTY: EMPTY_FILE,
    RefusalReason.UNSUPPORTED_FORMAT: UNSUPPORTED_FORMAT,
    RefusalReason.DICOM: DICOM,
    RefusalReason.ANIMATED: ANIMATED,
    RefusalReason.TOO_SMALL: IMAGE_TOO_SMALL,
    RefusalReason.TOO_LARGE: IMAGE_TOO_LARGE,
    RefusalReason.TRUNCATED: TRUNCATED,
    RefusalReason.CORRUPT: CORRUPT,
}


def refused(refusal: ImageRefused, advice: str = "") -> Problem:
    """The problem that a refused image is, with further advice if there is any."""
    return Problem(_REFUSALS[refusal.reason], f"{refusal.detail} {advice}".rstrip())


def describe(problem: Problem, instance: str, request_id: str) -> dict[str, Any]:
    """The members of a problem's JSON object (RFC 9457, section 3.1, and `request_id`).

    Args:
        problem: What went wrong.
        instance: The path that was asked for.
        request_id: The request's identifier, as in `X-Request-ID` and the log.
    """
    return {
        "type": problem.kind.type,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": instance,
        "request_id": request_id,
    }


def respond(problem: Problem, instance: str, request_id: str) -> Response:
    """The HTTP answer that tells a problem; takes what `describe` takes."""
    return Response(
        json.dumps(describe(problem, instance, request_id), ensure_ascii=False),
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )
