"""Reads what a caller uploads: into memory, within limits of size and time, whatever happens."""

import asyncio
import math
from collections.abc import AsyncIterator
from io import BytesIO
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from starlette.requests import Request
from starlette.types import Message

from service.problems import UPLOAD_TOO_LARGE, UPLOAD_TOO_SLOW, Problem, overloaded
from service.runtime.byte_budget import ByteBudget
from service.runtime.worker_pool import ClientGone
from service.settings import Settings
from service.telemetry.request_record import observed

_PAUSE: Final = 0.02
"""Seconds between two tries to get memory."""

_CLOSE: Final = {"Connection": "close"}


class Upload:
    """A request's body, chunk by chunk. A context: at its end the memory budget is given back.

    Attributes:
        received: Bytes that have arrived.
        complete: Set once all of them have: from then on, a hang-up is all that a caller can send.
        under_way: Files of it that are whole and will be released, which the reader of many counts.
    """

    def __init__(
        self, request: Request, limit: int, budget: ByteBudget, settings: Settings, files: int = 1
    ) -> None:
        """Prepares to read; nothing is read yet.

        Args:
            request: Whose body to read.
            limit: Most bytes to accept.
            budget: What all uploads in memory share.
            settings: How slow an upload may be.
            files: Most files that it brings. With more than one, memory is waited for, not refused,
                and half of what one file leaves is left to others, who do not wait.

        Raises:
            Problem: `upload-too-large`, if the request announces more than the limit.
        """
        self._request = request
        self._limit = limit
        self._budget = budget
        self._settings = settings
        self._files = files
        self._spare = max(0, budget.total - settings.body_limit) // 2 if files > 1 else 0
        self._held = 0
        self._waited = 0.0
        self._file_began = 0.0
        self._patience = settings.upload_grace_seconds
        self.received = 0
        self.complete = asyncio.Event()
        self.under_way = 0
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise self._too_large(int(announced))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release(self._held)
        self._note()

    def release(self, amount: int) -> None:
        """Gives back the budget of that many bytes: they are no longer in memory."""
        amount = min(amount, self._held)
        self._held -= amount
        self._budget.give_back(amount)

    def next_file(self) -> None:
        """A file of many has ended: the time that the next one may take begins."""
        self._file_began = self._waited

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's chunks, as they arrive.

        Raises:
            ClientGone: The caller hung up.
            Problem: `upload-too-large`, `upload-too-slow`, or `overloaded` (no memory left for
                uploads).
        """
        while not self.complete.is_set():
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            if not message.get("more_body", False):
                self.complete.set()
            self.received += len(chunk)
            self._reward(len(chunk))
            if self.received > self._limit:
                raise self._too_large(self.received)
            await self._take_memory(len(chunk))
            self._held += len(chunk)
            if chunk:
                yield chunk

    async def whole(self) -> bytes:
        """The whole body; raises what `chunks` raises."""
        # It gives its bytes away uncopied, where joining pieces would hold them twice.
        body = BytesIO()
        async for chunk in self.chunks():
            body.write(chunk)
        self._note()
        return body.getvalue()

    async def _next_message(self) -> Message:
        settings = self._settings
        left = self._file_began + settings.upload_seconds - self._waited
        start = perf_counter()
        try:
            async with asyncio.timeout(min(self._patience, left)):
                return await self._request.receive()
        except TimeoutError:
            raise Problem(
                UPLOAD_TOO_SLOW,
                f"{self.received} bytes arrived in {self._waited + perf_counter() - start:.0f} s; "
                f"accepted are {settings.upload_minimum_rate} bytes a second and more, pauses of "
                f"{settings.upload_grace_seconds:g} s, and {settings.upload_seconds:g} s for a "
                "file. Send the image over a better connection, or smaller.",
                _CLOSE,
            ) from None
        finally:
            waited = perf_counter() - start
            self._waited += waited
            self._patience -= waited

    def _reward(self, amount: int) -> None:
        """Lets the caller take longer for what comes next, by the time that these bytes may take.

        It never grows beyond the grace: a caller cannot send fast first, and then hold the memory
        without sending on.
        """
        gained = self._patience + amount / self._settings.upload_minimum_rate
        self._patience = min(self._settings.upload_grace_seconds, gained)

    async def _take_memory(self, amount: int) -> None:
        if self._budget.try_take(amount, spare=self._spare):
            return
        if self._files > 1 and await self._wait_for_memory(amount):
            return
        raise overloaded("Too many uploads are in memory at this moment.")

    async def _wait_for_memory(self, amount: int) -> bool:
        """Waits while something comes free: of this upload's own files, or of others.

        Of the uploads that hold nothing but a piece of a file, one may wait. Two would wait for
        each other.
        """
        budget = self._budget
        try:
            for _ in range(math.ceil(self._settings.answer_seconds / _PAUSE)):
                if not self.under_way:
                    budget.stuck = budget.stuck or self
                    if budget.stuck is not self:
                        return False
                await asyncio.sleep(_PAUSE)
                if budget.try_take(amount, spare=self._spare):
                    return True
            return False
        finally:
            if budget.stuck is self:
                budget.stuck = None

    def _note(self) -> None:
        observation = observed(self._request.scope)
        observation.received = self.received
        observation.stages["read"] = self._waited

    def _too_large(self, size: int) -> Problem:
        return Problem(
            UPLOAD_TOO_LARGE,
            f"The upload has {size / 1e6:.1f} MB or more; accepted are {self._limit / 1e6:.1f} "
            "MB. Export the image as JPEG, or smaller: about 2000 pixels wide is plenty.",
        )
