"""What the service says of itself in its OpenAPI document, and what other origins may do."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.keys import HEADER
from service.reference import PROBLEM_SCHEMA
from service.settings import Settings

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


def of(settings: Settings) -> dict[str, Any]:
    """The arguments of `FastAPI` that say what the service is, and where."""
    return {
        "title": "Chest X-ray screening",
        "summary": _SUMMARY,
        "description": _DESCRIPTION,
        "version": _version(),
        "openapi_tags": _TAGS,
        "root_path": settings.root_path,
        "docs_url": None,  # routes/docs.py serves it without a network
        "redoc_url": None,
        "redirect_slashes": False,
    }


def complete(app: FastAPI) -> None:
    """Makes the OpenAPI document carry what FastAPI does not know of: the shape of problems."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                tags=app.openapi_tags,
                routes=app.routes,
                servers=[{"url": app.root_path or "/"}],
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = PROBLEM_SCHEMA
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def cors(settings: Settings) -> dict[str, Any]:
    """The arguments of `CORSMiddleware`."""
    return {
        "allow_origins": settings.cors_origins,
        "allow_methods": ["GET", "POST"],
        "allow_headers": [HEADER, "X-Request-ID", "Content-Type"],
        "expose_headers": ["X-Request-ID", "Server-Timing", "Retry-After"],
    }


def _version() -> str:
    try:
        return version("chest-xray-screening")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0"
