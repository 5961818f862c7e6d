"""Every error that a caller can meet, in one shape (RFC 9457, `application/problem+json`).

A type's `slug` never changes: programs may rely on it. `docs/api.md` lists them all, and a test
holds it to that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from shared.imaging.refusal import ImageRefused, RefusalReason

TYPE_PREFIX = "urn:chest-xray-screening:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem.

    Attributes:
        slug: Its stable name, the last part of `type`.
        status: The HTTP status that goes with it.
        title: What it is, in words that do not change from one occurrence to the next.
        example: What `detail` may say.
    """

    slug: str
    status: int
    title: str
    example: str

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


MALFORMED_REQUEST = ProblemType(
    "malformed-request",
    400,
    "The request is not valid HTTP",
    "What arrived is not HTTP. Accepted is HTTP/1.1.",
)
MALFORMED_UPLOAD = ProblemType(
    "malformed-upload",
    400,
    "The upload cannot be read",
    "The multipart form cannot be read: it ends before its closing boundary.",
)
NO_FILE = ProblemType(
    "no-file", 400, "There is no image in the request", "The form has no file in its field `file`."
)
SEVERAL_FILES = ProblemType(
    "several-files",
    400,
    "There is more than one file in the request",
    "The form has 2 files; accepted is one.",
)
UNKNOWN_FIELD = ProblemType(
    "unknown-field",
    400,
    "The form has a field that is not known",
    "The form has a field 'image'; accepted is one field, `file`.",
)
EMPTY_FILE = ProblemType("empty-file", 400, "The file is empty", "The file is empty (0 bytes).")
KEY_REQUIRED = ProblemType(
    "key-required",
    401,
    "An API key is required",
    "This service asks for an API key in the header X-API-Key; none came with the request.",
)
ORIGIN_NOT_ALLOWED = ProblemType(
    "origin-not-allowed",
    403,
    "Pages of this origin may not send this",
    "Received a browser's question whether a page of https://elsewhere.example may send a POST.",
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "There is nothing at this address",
    "There is nothing here. The service answers POST /predict.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    405,
    "This address takes another method",
    "Received GET; this address takes POST.",
)
UPLOAD_TOO_SLOW = ProblemType(
    "upload-too-slow",
    408,
    "The upload did not arrive in time",
    "25 bytes arrived in 10 s; accepted are 4096 bytes a second and more.",
)
UPLOAD_TOO_LARGE = ProblemType(
    "upload-too-large",
    413,
    "The upload is too large",
    "The upload has 20.0 MB or more; accepted are 16.8 MB.",
)
IMAGE_TOO_LARGE = ProblemType(
    "image-too-large",
    413,
    "The image has too many pixels",
    "The image has 10000 × 6000 pixels (60.0 million); accepted are at most 40 million.",
)
IMAGE_TOO_COSTLY = ProblemType(
    "image-too-costly",
    413,
    "Decoding the image takes too much memory",
    "Decoding this WEBP image takes about 612 MB of memory; accepted are 134 MB.",
)
UNSUPPORTED_FORMAT = ProblemType(
    "unsupported-format",
    415,
    "The file's format is not accepted",
    "Received a PDF document; accepted are JPEG, PNG, TIFF, BMP, WebP and DICOM.",
)
ENCODED_UPLOAD = ProblemType(
    "encoded-upload",
    415,
    "The upload has a content coding",
    "The upload comes with Content-Encoding: gzip; accepted is none.",
)
DICOM = ProblemType(
    "dicom",
    415,
    "This kind of DICOM file is not accepted",
    "The DICOM file's Modality (0008,0060) is not CR or DX: it is no radiograph.",
)
ANIMATED = ProblemType(
    "animated-image",
    415,
    "The image has more than one frame",
    "This PNG file holds several pictures; accepted is one picture a file.",
)
INVALID_PARAMETER = ProblemType(
    "invalid-parameter",
    422,
    "A parameter is wrong",
    "query.heatmap: Input should be a valid boolean (got 'perhaps')",
)
TRUNCATED = ProblemType(
    "truncated-image",
    422,
    "The image is cut off",
    "The JPEG file ends before its image does. Send the whole file again.",
)
CORRUPT = ProblemType(
    "corrupt-image",
    422,
    "The image is damaged",
    "The file begins like a PNG image, but it is damaged or of an unusual kind.",
)
IMAGE_TOO_SMALL = ProblemType(
    "image-too-small",
    422,
    "The image has too few pixels",
    "The image has 32 × 32 pixels; accepted are at least 64 × 64.",
)
NOT_A_CHEST_XRAY = ProblemType(
    "not-a-chest-xray",
    422,
    "The image is not a chest X-ray",
    "The picture does not look like a frontal chest X-ray.",
)
NO_HEATMAP = ProblemType(
    "no-heatmap",
    422,
    "The model has no heatmap",
    "The model that is served gives no heatmap. Ask without one.",
)
HEADERS_TOO_LARGE = ProblemType(
    "headers-too-large",
    431,
    "The request's headers are too large",
    "The first line and the headers are longer than 32 KiB together.",
)
INTERNAL = ProblemType(
    "internal-error",
    500,
    "The service failed to answer",
    "The request may well be right. Tell whoever runs the service its request_id.",
)
OVERLOADED = ProblemType(
    "overloaded",
    503,
    "The service is busy",
    "All 18 places are taken. Send it again after the seconds in Retry-After.",
)
NOT_READY = ProblemType(
    "not-ready", 503, "The service is not ready", "No model is loaded: it is being loaded."
)
WORKERS_HUNG = ProblemType(
    "workers-hung",
    503,
    "No worker is left",
    "Each of 2 workers has been at one image for more than 60 s. Restart the service.",
)
TOOK_TOO_LONG = ProblemType(
    "took-too-long",
    503,
    "The answer took too long",
    "There was no answer within 30 s. Send a smaller image, or again later.",
)

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
    RefusalReason.NOT_A_CHEST: NOT_A_CHEST_XRAY,
}


def refused(refusal: ImageRefused, advice: str = "") -> Problem:
    """The problem that a refused image is, with further advice if there is any."""
    return Problem(_REFUSALS[refusal.reason], f"{refusal.detail} {advice}".rstrip())


def overloaded(why: str) -> Problem:
    """The problem that there is no room for a request now: it may be sent again a second later."""
    return Problem(
        OVERLOADED,
        f"{why} Nothing is wrong with the request: send it again after the number of seconds that "
        "Retry-After gives.",
        {"Retry-After": "1"},
    )


def describe(problem: Problem, instance: str, request_id: str) -> dict[str, Any]:
    """The members of a problem's JSON object (RFC 9457, section 3.1, and `request_id`)."""
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
