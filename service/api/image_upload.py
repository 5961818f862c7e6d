"""A request's image, from the first byte of the upload to its screening. Every route comes here."""

from threading import Event
from time import perf_counter
from typing import Final

from starlette.requests import Request

from service.auth import HEADER
from service.dependencies import Resources, resources
from service.http.multipart import boundary_of, read_form
from service.http.upload import Upload
from service.problems import Problem
from service.screening.heatmap_image import Drawing
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import Screening, screen
from service.settings import FORM_OVERHEAD
from service.telemetry.request_record import observed

FIELD: Final = "file"
KEY_FIELD: Final = "key"

_ADVICE: Final = "With curl, send the file with: curl -F file=@image.jpeg URL"
_OF_CURL_DATA: Final = "application/x-www-form-urlencoded"  # what `curl -d` says that it sends
_DAMAGED: Final = ("unsupported-format", "truncated-image", "corrupt-image")
"""What becomes of an image whose line ends were changed."""


async def screen_upload(
    request: Request,
    *,
    drawing: Drawing | None = None,
    pictured: bool = False,
    key_field: bool = False,
) -> Screening:
    """Reads the image that a request brings, and screens it.

    Args:
        request: Multipart with the field `file`, or the image itself as the body.
        drawing: What to draw of the evidence, if anything.
        pictured: Whether the image is to be given back as it was read.
        key_field: Whether the API key comes in the form, as the field `key` (a page without
            script); a body that is no form needs it in the header.

    Raises:
        ClientGone: The caller hung up.
        Problem: Whatever is wrong with the request or its image, or with the service.
    """
    shared = resources(request)
    content_type = request.headers.get("content-type", "")
    is_form = content_type.lower().startswith("multipart/")
    if key_field and not is_form:  # nothing in the body can bring the key
        shared.keys.check(request.headers.get(HEADER))
    try:
        shared.model()
        _check_coding(request)
        boundary = boundary_of(content_type) if is_form else None
        limit = shared.settings.body_limit + (FORM_OVERHEAD if is_form else 0)
        patience = shared.settings.answer_seconds / 2
        async with shared.capacity.place() as place:
            with Upload(request, limit, shared.uploads, patience) as upload:
                body = await upload.whole(place)
                if boundary is not None:
                    body = _from_form(body, boundary, shared, key_field)
                elif not body:
                    raise Problem("no-file", f"The request has no body. {_ADVICE}")
                return await _screen(request, body, drawing, pictured)
    except Problem as problem:
        shared.metrics.refused(problem.kind.slug)
        raise problem if is_form else _with_advice(problem, content_type) from None


def _check_coding(request: Request) -> None:
    """Refuses what was compressed for the journey (RFC 9110, section 15.5.16), before it is read.

    Images are compressed by themselves, and what unpacks to gigabytes need not be guarded against.
    """
    coding = request.headers.get("content-encoding", "").strip()
    if coding.lower() not in ("", "identity"):
        raise Problem(
            "encoded-upload",
            f"The upload comes with Content-Encoding: {coding[:40]}; accepted is none. Send the "
            "image as it is, and switch off the compression of requests in your client.",
            {"Accept-Encoding": "identity"},
        )


async def _screen(
    request: Request, image: bytes, drawing: Drawing | None, pictured: bool
) -> Screening:
    """Screens a request's only image on a worker thread, and notes what came of it.

    Where the caller hangs up, work that did not start, or waits for memory, is dropped.
    """
    shared, observation = resources(request), observed(request.scope)
    submitted = perf_counter()
    ended = Event()
    taken: dict[str, float] = {}  # the worker's own: it may go on after a caller was told to go

    def work() -> Screening:
        taken["queue"] = perf_counter() - submitted
        patience = shared.settings.answer_seconds / 2 - taken["queue"]  # the rest is for the work
        memory = DecodingMemory(shared.decoded, patience, lambda: not ended.is_set())
        return screen(shared.model(), image, memory, drawing, taken, pictured)

    screening = None
    try:
        seconds = shared.settings.answer_seconds
        screening = await shared.capacity.run(work, seconds, request.receive)
        observation.model = screening.model.manifest.version
        return screening
    finally:
        ended.set()
        observation.stages.update(taken)
        shared.metrics.screened(observation.stages, screening)


def _with_advice(problem: Problem, content_type: str) -> Problem:
    """What is wrong with a body that was to be the image itself, and how to send one."""
    slug = problem.kind.slug
    damaged = slug in _DAMAGED and content_type.startswith(_OF_CURL_DATA)
    if slug != "unsupported-format" and not damaged:
        return problem
    why = "`curl -d` and `--data` change line ends and so damage images. " if damaged else ""
    return Problem(slug, f"{problem.detail} {why}{_ADVICE}", problem.headers)


def _from_form(body: bytes, boundary: bytes, shared: Resources, key_field: bool) -> bytes:
    """The content of the field `file`, checked to be the only one."""
    parts = read_form(body, boundary)
    if key_field:
        keys = [part.content.decode("utf-8", "replace") for part in parts if part.name == KEY_FIELD]
        shared.keys.check(keys[0] if keys else None)
        parts = [part for part in parts if part.name != KEY_FIELD]
    for part in parts:
        if part.name != FIELD:
            raise Problem(
                "unknown-field",
                f"The form has a field {part.name[:40]!r}; accepted is one field, `{FIELD}`. "
                f"{_ADVICE}",
            )
    files = [part for part in parts if part.content or not part.unchosen]
    if not files:
        raise Problem("no-file", f"The form has no file in its field `{FIELD}`. {_ADVICE}")
    if len(files) > 1:
        raise Problem(
            "several-files",
            f"The form has {len(files)} files; accepted is one. Send each in a request of its "
            "own: several at once, over connections that are kept.",
        )
    image, most = files[0].content, shared.settings.body_limit
    if len(image) > most:
        raise Problem(
            "upload-too-large",
            f"The file has {len(image) / 1e6:.1f} MB; accepted are {most / 1e6:.1f} MB. Export "
            "the image as JPEG, or smaller: about 2000 pixels wide is plenty.",
        )
    return image
