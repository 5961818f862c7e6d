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
    MALFORMED_REQUEST,
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

EVERYWHERE: Final = (MALFORMED_REQUEST, INVALID_PARAMETER, INTERNAL)
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

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457: what is wrong, what is accepted, and what to do",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "stable, for programs"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for people"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "request_id": {"type": "string"},
    },
}


def problem_answers(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describes problems for a route's `responses`: each status with an example of each type."""
    by_status = groupby(sorted(kinds, key=lambda kind: kind.status), key=lambda kind: kind.status)
    return {status: _answer(list(group)) for status, group in by_status}


def _answer(kinds: list[ProblemType]) -> dict[str, Any]:
    examples = {
        kind.slug: {
            "summary": kind.title,
            "value": describe(Problem(kind, kind.title), "/", "0f3a"),
        }
        for kind in kinds
    }
    return {
        "description": "; ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }


def image_body() -> dict[str, Any]:
    """Describes a body that is one image, as a form or as it is."""
    form = {
        "type": "object",
        "required": ["file"],
        "additionalProperties": False,
        "properties": {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "JPEG, PNG, TIFF, BMP or WebP",
            }
        },
    }
    raw = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    content |= dict.fromkeys((*IMAGE_TYPES, "application/octet-stream"), raw)
    return {"requestBody": {"required": True, "content": content}}
