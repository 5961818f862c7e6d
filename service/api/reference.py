"""How OpenAPI describes uploads and problems."""

from itertools import groupby
from typing import Any, Final

from service.problems import (
    ANIMATED,
    CORRUPT,
    DICOM,
    EMPTY_FILE,
    HEADERS_TOO_LARGE,
    IMAGE_TOO_COSTLY,
    IMAGE_TOO_LARGE,
    IMAGE_TOO_SMALL,
    INTERNAL,
    MALFORMED_REQUEST,
    MALFORMED_UPLOAD,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NO_FILE,
    NOT_A_CHEST_XRAY,
    NOT_FOUND,
    NOT_READY,
    ORIGIN_NOT_ALLOWED,
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

_UNREAD: Final = (MALFORMED_REQUEST, HEADERS_TOO_LARGE)
"""Problems with a request of which the path was not read."""

_ANYWHERE: Final = (*_UNREAD, UPLOAD_TOO_SLOW, INTERNAL, OVERLOADED)
"""Problems that every address can give."""

_ELSEWHERE: Final = {
    NOT_FOUND: "/nothing",
    METHOD_NOT_ALLOWED: "/predict",
    ORIGIN_NOT_ALLOWED: "/predict",
}
"""Problems with requests that are none of a route's, and an address that was asked for."""

IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp")

IMAGE_PROBLEMS: Final = (
    MALFORMED_UPLOAD,
    NO_FILE,
    SEVERAL_FILES,
    UNKNOWN_FIELD,
    EMPTY_FILE,
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
    NOT_READY,
    TOOK_TOO_LONG,
)

BATCH_PROBLEMS: Final = (
    MALFORMED_UPLOAD,
    NO_FILE,
    UPLOAD_TOO_LARGE,
    NOT_READY,
)
"""Where nothing of a batch can be answered; a problem with one file is in that file's line."""


def problem_answers(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describes problems for a route's `responses`: each status with an example of each type.

    Args:
        kinds: Those of the route; the problems of all are added.
    """
    ordered = sorted(dict.fromkeys((*kinds, *_ANYWHERE)), key=lambda kind: kind.status)
    by_status = groupby(ordered, key=lambda kind: kind.status)
    return {status: _answer(list(group)) for status, group in by_status}


def other_answers() -> dict[str, dict[str, Any]]:
    """Describes the problems that no route gives, by their slugs."""
    return {kind.slug: _answer([kind], path) for kind, path in _ELSEWHERE.items()}


def place_examples(answer: dict[str, Any], path: str) -> None:
    """Makes the examples of problems in an answer's description those of an address."""
    unread = {kind.slug for kind in _UNREAD}
    for slug, example in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
        if slug not in unread:
            example["value"]["instance"] = path


def _answer(kinds: list[ProblemType], path: str = "/") -> dict[str, Any]:
    examples = {kind.slug: {"summary": kind.title, "value": _example(kind, path)} for kind in kinds}
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        "description": "; ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _example(kind: ProblemType, path: str) -> dict[str, Any]:
    return describe(Problem(kind, kind.example), path, "0f3a6c1d9b2e4857")


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
