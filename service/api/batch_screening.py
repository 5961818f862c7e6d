"""Many images in one request: each is screened as soon as it has arrived, and answered in order.

No more than a few are in memory: reading waits for screening. One bad file is one bad answer.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any, Final

from starlette.requests import Request

from service.api.image_upload import FIELD, screen_bytes, within_limit
from service.api.schemas import Answer
from service.dependencies import resources
from service.http.multipart import FormReader, Part
from service.http.upload import Upload
from service.problems import (
    INTERNAL,
    MALFORMED_UPLOAD,
    NO_FILE,
    TOO_MANY_FILES,
    UNKNOWN_FIELD,
    Problem,
    describe,
)
from service.runtime.worker_pool import ClientGone
from service.settings import FORM_OVERHEAD
from service.telemetry.request_record import observed

log = logging.getLogger(__name__)

Line = dict[str, Any]

_MOST_PARTS: Final = 10_000
"""Far more than a batch may have: the line about too many files comes before."""


class Batch:
    """One request's images and answers."""

    def __init__(self, request: Request) -> None:
        """Prepares to read; nothing is read yet.

        Raises:
            Problem: The request is no form, announces too much, or no model is loaded.
        """
        self._shared = resources(request)
        self._shared.model()
        settings = self._shared.settings
        self._request = request
        self._observation = observed(request.scope)
        self._limit = settings.batch_files
        self._count = 0
        self._form = _form(request, settings.body_limit)
        self._upload = Upload(
            request,
            self._limit * (settings.body_limit + FORM_OVERHEAD),
            self._shared.bodies,
            settings,
            files=self._limit,
        )
        self._tasks: set[asyncio.Task[Line]] = set()
        self._answers: asyncio.Queue[asyncio.Task[Line] | Exception | None] = asyncio.Queue()

    async def lines(self) -> AsyncGenerator[Line]:
        """The answers in order, as they are done.

        Raises:
            ClientGone: The caller hung up.
            Problem: Nothing can be answered: there are too many batches, or the first file does not
                arrive whole. A later failure of the upload is the last line.
        """
        counts = self._observation.lines = {"answered": 0, "failed": 0}
        with self._shared.capacity.batch(), self._upload:
            reading = asyncio.create_task(self._read())
            watching = asyncio.create_task(self._watch(reading))
            try:
                while (answer := await self._answers.get()) is not None:
                    if isinstance(answer, asyncio.Task):
                        await asyncio.wait({answer})
                        if answer.cancelled():
                            raise ClientGone
                        line = answer.result()
                    elif isinstance(answer, Problem) and (told := sum(counts.values())):
                        self._observation.outcome = answer.kind.slug
                        line = self._bad(told, answer)
                    else:
                        raise answer
                    counts["answered" if line["answer"] else "failed"] += 1
                    yield line
            finally:
                watching.cancel()
                reading.cancel()
                self._stop()
                answer = None  # an error refers to this frame, and would keep the upload by it

    async def _read(self) -> None:
        """Takes files off the upload, and starts on each; an exception or None ends the queue."""
        try:
            async for chunk in self._upload.chunks():
                for part in self._feed(chunk):
                    await self._start(part)
            self._form.finish()
            if not self._count:
                raise Problem(NO_FILE, f"The form has no file. Send each as `{FIELD}`.")
            await self._answers.put(None)
        except ClientGone as gone:
            self._stop()
            await self._answers.put(gone)
        except Exception as failure:  # noqa: BLE001 - raised where the answers are awaited
            await self._answers.put(failure)
            await self._answers.put(None)

    def _feed(self, chunk: bytes) -> list[Part]:
        """The parts that end in a chunk. What the form drops of it is given back at once.

        That is what stands between files, and all of a file that is too large: otherwise such a
        file would take the whole budget, and wait for itself.
        """
        arrived = self._form.kept + len(chunk)
        parts = self._form.feed(chunk)
        kept = self._form.kept + sum(len(part.content) for part in parts)
        self._upload.release(arrived - kept)
        if parts:
            self._upload.next_file()
        return parts

    async def _watch(self, reading: asyncio.Task[None]) -> None:
        """Notices a caller who hangs up before all that was sent is answered."""
        await self._upload.complete.wait()
        await self._request.receive()
        reading.cancel()
        self._stop()
        await self._answers.put(ClientGone())

    def _done(self, task: asyncio.Task[Line]) -> None:
        self._tasks.discard(task)
        self._upload.under_way -= 1
        self._shared.capacity.batch_images.release()  # even of what was stopped before it began

    def _stop(self) -> None:
        """Drops what is not answered yet: nobody waits for it any more."""
        for task in self._tasks:
            task.cancel()

    async def _start(self, part: Part) -> None:
        if self._count == self._limit:
            raise Problem(
                TOO_MANY_FILES,
                f"The batch has more than {self._limit} files, which is all that is accepted; "
                "those before this line are answered. Send the rest in another batch.",
            )
        await self._shared.capacity.batch_images.acquire()
        index, self._count = self._count, self._count + 1
        self._upload.under_way += 1
        task = asyncio.create_task(self._answer(index, part))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        await self._answers.put(task)

    async def _answer(self, index: int, part: Part) -> Line:
        try:
            if part.name != FIELD:
                raise Problem(
                    UNKNOWN_FIELD,
                    f"The form has a field {part.name[:40]!r}; accepted is `{FIELD}`, once for "
                    "each file.",
                )
            image = within_limit(part, self._shared.settings.body_limit)
            patience = self._shared.settings.answer_seconds
            async with self._shared.capacity.place(patience) as place:
                await place.arrived()
                screening = await screen_bytes(self._shared, image, {})
            self._observation.model = screening.model.manifest.version
            answer = Answer.of(screening, self._observation.request_id)
            return {"index": index, "answer": answer.model_dump(), "problem": None}
        except Problem as problem:
            return self._bad(index, problem)
        except Exception:
            request_id = self._observation.request_id
            log.exception("image of a batch failed", extra={"request_id": request_id})
            return self._bad(index, Problem(INTERNAL, "The service failed on this image."))
        finally:
            self._upload.release(len(part.content))

    def _bad(self, index: int, problem: Problem) -> Line:
        self._shared.metrics.refused(problem.kind.slug)
        told = describe(problem, self._request.scope["path"], self._observation.request_id)
        return {"index": index, "answer": None, "problem": told}


def _form(request: Request, part_limit: int) -> FormReader:
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/"):
        raise Problem(
            MALFORMED_UPLOAD,
            f"Received a body of type {content_type[:80]!r}; accepted is a multipart form. With "
            f"curl: curl -F {FIELD}=@1.jpeg -F {FIELD}=@2.jpeg URL",
        )
    return FormReader(content_type, part_limit, most_parts=_MOST_PARTS)
