"""The interactive documentation, from files of this machine: it opens without a network."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from starlette.responses import FileResponse, HTMLResponse

from service.problems import Problem

router = APIRouter(include_in_schema=False)

# The package is used for Swagger UI's files only, at the version that understands OpenAPI 3.1.
_FILES: Final = Path(str(files("fastapi_offline"))) / "static"
_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chest X-ray screening: interface</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="interface"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START: Final = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#interface", validatorUrl: null});'


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE)


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """One of the page's files."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _TYPES:
        raise Problem("not-found", "The documentation has no such file. It begins at /docs.")
    return FileResponse(
        _FILES / name, media_type=_TYPES[name], headers={"Cache-Control": "public, max-age=86400"}
    )
