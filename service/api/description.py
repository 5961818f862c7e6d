"""What the service says of itself in its OpenAPI document."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.reference import other_answers, place_examples
from service.api.schemas import Answer, BatchLine, ProblemAnswer
from service.problems import METHOD_NOT_ALLOWED
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


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


_ALWAYS: Final = {
    "X-Request-ID": _header(
        "the request's id, as in the log", {"type": "string", "pattern": REQUEST_ID_PATTERN}
    )
}
_TIMED: Final = {
    "Server-Timing": _header(
        "milliseconds of the stages that it came to: read, queue, decode, infer", {"type": "string"}
    )
}
_BY_STATUS: Final = {
    "401": {"WWW-Authenticate": _header("the header that takes the key", {"type": "string"})},
    "405": {"Allow": _header("the methods that this address takes", {"type": "string"})},
    "503": {
        "Retry-After": _header(
            "seconds to wait before the same is sent again", {"type": "integer", "minimum": 0}
        )
    },
}


def _version() -> str:
    try:
        return version("chest-xray-screening")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0"


ABOUT: Final[dict[str, Any]] = {
    "title": "Chest X-ray screening",
    "summary": _SUMMARY,
    "description": _DESCRIPTION,
    "version": _version(),
    "openapi_tags": _TAGS,
    "docs_url": None,  # routes/docs.py serves it without a network
    "redoc_url": None,
    "redirect_slashes": False,
}
"""The arguments of `FastAPI` that say what the service is."""


def complete(app: FastAPI, prefix: str) -> None:
    """Makes the OpenAPI document carry what FastAPI does not know of.

    Args:
        app: Whose document it is.
        prefix: The path under which a proxy offers the service.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                tags=app.openapi_tags,
                routes=app.routes,
                servers=[{"url": prefix or "/"}],
            )
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(_schemas())
            components["responses"] = other_answers()
            _document_request_ids(document)
            _document_answers(document, prefix)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _document_request_ids(document: dict[str, Any]) -> None:
    """Every request may carry an id."""
    offered = {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "your id of the request, echoed and logged; a new one is made without it",
        "schema": {"type": "string"},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.setdefault("parameters", []).append(offered)


def _document_answers(document: dict[str, Any], prefix: str) -> None:
    """Every answer carries headers, and every example of a problem names its address."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            # The headers of a batch leave before its work is done.
            single = "screening" in operation["tags"] and path != "/predict/batch"
            timed = _TIMED if single else {}
            for status, answer in operation["responses"].items():
                answer["headers"] = _ALWAYS | timed | _BY_STATUS.get(status, {})
                place_examples(answer, prefix + path)
    for slug, answer in document["components"]["responses"].items():
        answer["headers"] = _ALWAYS | (_BY_STATUS["405"] if slug == METHOD_NOT_ALLOWED.slug else {})


def _schemas() -> dict[str, Any]:
    """The shapes of answers that no route returns as such: problems, and the lines of a batch."""
    models: list[tuple[type[BaseModel], Literal["serialization"]]] = [
        (Answer, "serialization"),
        (BatchLine, "serialization"),
        (ProblemAnswer, "serialization"),
    ]
    template = "#/components/schemas/{model}"
    schemas: dict[str, Any] = models_json_schema(models, ref_template=template)[1]["$defs"]
    return schemas
