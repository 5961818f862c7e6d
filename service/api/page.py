"""The page: `GET /`, the same with an answer where scripts are off (`POST /`), and its files."""

import asyncio
import re

from fastapi import APIRouter, Request, Response

from service.api.image_upload import screen_upload
from service.dependencies import resources
from service.http.middleware import POLICY
from service.problems import Problem
from service.screening.heatmap_image import Drawing
from service.web.assets import Asset, build, static_files
from service.web.languages import Language, choose, languages
from service.web.rendering import About, blank_page, figures, page

router = APIRouter(include_in_schema=False)

_COOKIE = "lang"
_YEAR = 365 * 24 * 3600


@router.get("/")
async def show(request: Request) -> Response:
    """Serves the page in the reader's language; it does not wait for the model."""
    language = _language(request)
    response = _send(request, blank_page(language.tag, _about(request)), "no-cache")
    response.headers["Vary"] = "Accept-Encoding, Accept-Language, Cookie"
    if request.query_params.get(_COOKIE) in languages():
        path = request.scope.get("root_path", "") + "/"
        response.set_cookie(_COOKIE, language.tag, max_age=_YEAR, path=path, samesite="lax")
    return response


@router.post("/")
async def answer(request: Request) -> Response:
    """Screens the form's image and serves the page with the answer, where scripts are off.

    The page is drawn on a thread: a picture takes tens of milliseconds.
    """
    language = _language(request)
    try:
        screening = await screen_upload(request, drawing=Drawing.OVERLAY, key_field=True)
    except Problem as problem:
        thing = await asyncio.to_thread(page, language, _about(request), problem=problem)
        response = _send(request, thing, "no-store")
        response.status_code = problem.kind.status
        response.headers.update(problem.headers)
        return response
    thing = await asyncio.to_thread(page, language, _about(request), screening=screening)
    return _send(request, thing, "no-store")


@router.get("/static/{path:path}")
async def static(request: Request, path: str) -> Response:
    """Serves a file of the page; one that is named by the current build may be kept for good."""
    version, _, name = path.partition("/")
    file = static_files().get(name)
    if file is None:
        raise Problem("not-found", "The page has no such file. Reload the page.")
    keep = "public, max-age=31536000, immutable" if version == build() else "no-cache"
    return _send(request, file, keep)


def _send(request: Request, thing: Asset, caching: str) -> Response:
    """Answers with an asset, compressed where the browser takes that; 304 where it has it."""
    compressed = _takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = thing.compressed_etag if compressed else thing.etag
    headers = {
        "ETag": etag,
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": f"{POLICY}; require-trusted-types-for 'script'",
    }
    if etag in request.headers.get("If-None-Match", "") and request.method != "POST":
        return Response(status_code=304, headers=headers)
    if compressed:
        headers["Content-Encoding"] = "gzip"
    body = thing.compressed if compressed else thing.body
    return Response(body, headers=headers, media_type=thing.media_type)


def _takes_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` names gzip, or else `*`, with a weight above 0.

    A weight that is none counts as 0: the answer is larger then, and still right (RFC 9110,
    section 12.5.3).
    """
    weights = {}
    for choice in accepted.lower().split(","):
        coding, _, weight = (word.strip() for word in choice.partition(";"))
        weights[coding] = re.fullmatch(r"(q *= *(1|0\.\d*[1-9]).*)?", weight) is not None
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def _language(request: Request) -> Language:
    return choose(
        request.query_params.get(_COOKIE),
        request.cookies.get(_COOKIE),
        request.headers.get("Accept-Language"),
    )


def _about(request: Request) -> About:
    shared = resources(request)
    model = shared.engine.model
    shown = figures(model.manifest if model else None)
    return About(shared.settings.body_limit, shared.keys.required, shown)
