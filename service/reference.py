"""How OpenAPI describes uploads and problems."""

from itertools import groupby
from typing import Any, Final

from service.problems import (
    ANIMATED,
    CORRUPT,
    DICOM,
    EMPTY_FILE,
    IMAGE_TOO_COSTLY,
    IMAGE_TOO_LARGE,
    IMAGE_TOO_SMALL,
    INTERNAL,
    INVALID_PARAMETER,
    MALFORMED_UPLOAD,
    MEDIA_TYPE,
    NO_FILE,
    NOT_A_CHEST_XRAY,
    NOT_READY,
    OVERLOADED,
    SEVERAL_FILES,
    TOOK_TOO_LONG,
    TRUNCATED,
    UNKNOWN_FIELD,
    UNSUPPORTED_FORMAT,
    UPLOAD_TOO_LARGE,
    UPLOAD_TOO_SLOW,
    Problem,
    ProblemType,
    describe,
)

IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp")

IMAGE_PROBLEMS: Final = (
    MALFORMED_UPLOAD,
    NO_FILE,
    SEVERAL_FILES,
    UNKNOWN_FIELD,
    EMPTY_FILE,
    UPLOAD_TOO_SLOW,
    UPLOAD_TOO_LARGE,
    IMAGE_TOO_LARGE,
    IMAGE_TOO_COSTLY,
    UNSUPPORTED_FORMAT,
    DICOM,
    ANIMATED,
    TRUNCATED,
    CORRUPT,
    IMAGE_TOO_SMALL,
    NOT_A_CHEST_XRAY,
    INVALID_PARAMETER,
    INTERNAL,
    OVERLOADED,
    NOT_READY,
    TOOK_TOO_LONG,
)

BATCH_PROBLEMS: Final = (
    MALFORMED_UPLOAD,
    NO_FILE,
    UPLOAD_TOO_SLOW,
    UPLOAD_TOO_LARGE,
    OVERLOADED,
    NOT_READY,
    INTERNAL,
)
"""Where nothing of a batch can be answered; a problem with one file is in that file's line."""


def problem_answers(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describes problems for a route's `responses`: each status with an example of each type."""
    by_status = groupby(sorted(kinds, key=lambda kind: kind.status), key=lambda kind: kind.status)
    return {status: _answer(list(group)) for status, group in by_status}


def _answer(kinds: list[ProblemType]) -> dict[str, Any]:
    examples = {kind.slug: {"summary": kind.title, "value": _example(kind)} for kind in kinds}
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        "description": "; ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _example(kind: ProblemType) -> dict[str, Any]:
    return describe(Problem(kind, kind.example), "/predict", "0f3a6c1d9b2e4857")


def image_body() -> dict[str, Any]:
    """Describes a body that is one image, as a form or as it is."""
    image = {"type": "string", "format": "binary", "description": "JPEG, PNG, TIFF, BMP or WebP"}
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = _form_with(image, additionalProperties=False) | dict.fromkeys(
        (*IMAGE_TYPES, "application/octet-stream"), raw
    )
    return {"requestBody": {"required": True, "content": content}}


def batch_body() -> dict[str, Any]:
    """Describes a body that is a form with several images.

    Neither other fields nor a number of files are ruled out: each of those is a line that says so.
    """
    image = {"type": "string", "format": "binary"}
    images = {"type": "array", "items": image, "minItems": 1}
    return {"requestBody": {"required": True, "content": _form_with(images)}}


def _form_with(file: dict[str, Any], **more: Any) -> dict[str, Any]:
    form = {"type": "object", "required": ["file"], "properties": {"file": file}, **more}
    return {"multipart/form-data": {"schema": form}}
