"""What FastAPI does not know of the service: what it is, its problems, its headers, its uploads."""

from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any, Final

from fastapi import FastAPI

from service.api.schemas import ANSWER, ProblemAnswer
from service.problems import MEDIA_TYPE, PROBLEMS, Problem, ProblemType, describe
from service.telemetry.request_record import REQUEST_ID_PATTERN

_SUMMARY: Final = "Screens chest X-rays for pneumonia: a second opinion, never a diagnosis."
_DESCRIPTION: Final = """
Send a frontal chest X-ray to `POST /predict` and get a label and a calibrated probability.

    curl -F file=@image.jpeg http://127.0.0.1:8000/predict

Every error is `application/problem+json` (RFC 9457); its `type` never changes. Every answer carries
`X-Request-ID`: yours, if you send one. Nothing that you upload is written to a disk or to a log.
"""
_TAGS: Final = [
    {"name": "screening", "description": "Images in, answers out."},
    {"name": "model", "description": "What answers, and how good it is."},
    {"name": "health", "description": "For load balancers and monitoring."},
]

_ANYWHERE: Final = tuple(slug for slug, kind in PROBLEMS.items() if kind.of == "any")
"""Problems that every address can give."""

IMAGE_PROBLEMS: Final = tuple(slug for slug, kind in PROBLEMS.items() if kind.of == "image")
"""Problems of every address that takes an image."""

IMAGE_TYPES: Final = (
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/bmp",
    "image/webp",
    "application/dicom",
)


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


_HEADERS: Final = {
    "X-Request-ID": _header(
        "the request's id, as in the log", type="string", pattern=REQUEST_ID_PATTERN
    ),
    "Server-Timing": _header(
        "milliseconds of the stages that it came to: read, queue, decode, infer", type="string"
    ),
    "WWW-Authenticate": _header("the header that takes the key", type="string"),
    "Retry-After": _header(
        "seconds to wait before the same is sent again", type="integer", minimum=0
    ),
}
_WITH_STATUS: Final[dict[str, set[str]]] = {"401": {"WWW-Authenticate"}, "503": {"Retry-After"}}
_OFFERED_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "your id of the request, echoed and logged; a new one is made without it",
    "schema": {"type": "string"},
}


def _version() -> str:
    try:
        return version("chest-xray-screening")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0"


def about(prefix: str) -> dict[str, Any]:
    """The arguments of `FastAPI` that say what the service is."""
    return {
        "title": "Chest X-ray screening",
        "summary": _SUMMARY,
        "description": _DESCRIPTION,
        "version": _version(),
        "openapi_tags": _TAGS,
        "servers": [{"url": prefix or "/"}],
        "docs_url": None,  # api/docs.py serves it without a network
        "redoc_url": None,
        "redirect_slashes": False,
    }


def problem_answers(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: each status, with the examples of its problems.

    Args:
        slugs: The route's problems; those of all routes are added.
    """
    kinds = [PROBLEMS[slug] for slug in dict.fromkeys((*slugs, *_ANYWHERE))]
    ordered = sorted(kinds, key=lambda kind: kind.status)
    return {
        status: _answer(list(group))
        for status, group in groupby(ordered, key=lambda kind: kind.status)
    }


def _answer(kinds: list[ProblemType]) -> dict[str, Any]:
    examples = {kind.slug: {"$ref": f"#/components/examples/{kind.slug}"} for kind in kinds}
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        "description": "; ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def image_body() -> dict[str, Any]:
    """A route's `openapi_extra`: a body that is one image, as a form or as it is."""
    image = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": image | {"description": "JPEG, PNG, TIFF, BMP, WebP or DICOM"}},
        "additionalProperties": False,
    }
    raw = {media: {"schema": image} for media in (*IMAGE_TYPES, "application/octet-stream")}
    content = {"multipart/form-data": {"schema": form}, **raw}
    return {"requestBody": {"required": True, "content": content}}


def complete(app: FastAPI) -> None:
    """Adds to the OpenAPI document of an application: headers, and the shape of problems."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            components = document["components"]
            components["schemas"]["Answer"]["examples"] = [ANSWER]  # with the nulls in it
            components["schemas"]["ProblemAnswer"] = ProblemAnswer.model_json_schema()
            components["examples"] = {slug: _example(kind) for slug, kind in PROBLEMS.items()}
            components["headers"] = _HEADERS
            for item in document["paths"].values():
                for operation in item.values():
                    _add_headers(operation)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _example(kind: ProblemType) -> dict[str, Any]:
    told = describe(Problem(kind.slug, kind.example), "/predict", "0f3a6c1d9b2e4857")
    return {"summary": kind.title, "value": told}


def _add_headers(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(_OFFERED_ID)
    timed = {"Server-Timing"} if "screening" in operation["tags"] else set()
    for status, answer in operation["responses"].items():
        names = {"X-Request-ID"} | timed | _WITH_STATUS.get(status, set())
        answer["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)
        }
