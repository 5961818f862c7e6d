"""Reads what a caller uploads: into memory, within limits of size and time, whatever happens."""

import asyncio
from io import BytesIO
from time import perf_counter
from typing import Final, Self

from starlette.requests import Request
from starlette.types import Message

from service.problems import Problem
from service.runtime.upload_memory import Loan, UploadMemory
from service.runtime.worker_pool import ClientGone, Place
from service.telemetry.request_record import observed

PAUSE_SECONDS: Final = 10.0
"""How long an upload may pause, at its beginning or later: mobile networks hand over in less."""

MINIMUM_RATE: Final = 4096
"""Bytes a second below which an upload is cut off. A modem of 56 kbit/s sends 5000 and more."""

UPLOAD_SECONDS: Final = 120.0
"""An upload must be whole within this: 16 MiB at 1.2 Mbit/s."""

DAWDLING_SECONDS: Final = 1.0
"""An upload that takes longer than this gives its place up, and asks again when it is whole."""

RETURNING_SECONDS: Final = 1.0
"""How long such an upload then waits for a place, before those that are still to be read."""

_CLOSE: Final = {"Connection": "close"}


class Upload:
    """A request's body. A context: at its end its memory is given back.

    Attributes:
        received: Bytes that have arrived.
    """

    def __init__(self, request: Request, limit: int, memory: UploadMemory, patience: float) -> None:
        """Prepares to read; nothing is read yet.

        Args:
            limit: Most bytes to accept.
            memory: What all uploads share.
            patience: Seconds to wait for memory, each time that there is none.

        Raises:
            Problem: `upload-too-large`, if the request announces more than the limit.
        """
        self._request = request
        self._limit = limit
        self._patience = patience
        self._waited = 0.0
        self._credit = PAUSE_SECONDS
        self.received = 0
        announced = request.headers.get("content-length", "")
        length = int(announced) if announced.isdecimal() else limit
        if length > limit:
            raise self._too_large(length)
        self._loan = Loan(memory, length)

    def __enter__(self) -> Self:
        self._loan.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._loan.__exit__()
        self._note()

    async def whole(self, place: Place) -> bytes:
        """The whole body.

        Args:
            place: The upload's place in the queue, which it has again when it is whole.

        Raises:
            ClientGone: The caller hung up.
            Problem: `upload-too-large`, `upload-too-slow`, or `overloaded` (no memory left for
                uploads, or no place).
        """
        # It gives its bytes away uncopied, where joining pieces would hold them twice.
        body, more = BytesIO(), True
        dawdling = asyncio.get_running_loop().call_later(DAWDLING_SECONDS, place.leave)
        try:
            while more:
                message = await self._next_message()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk, more = message.get("body", b""), message.get("more_body", False)
                self.received += len(chunk)
                if self.received > self._limit:
                    raise self._too_large(self.received)
                await self._loan.take(len(chunk), self._patience)
                body.write(chunk)
        finally:
            dawdling.cancel()
        self._loan.settle()
        self._note()
        await place.take(RETURNING_SECONDS)
        return body.getvalue()

    async def _next_message(self) -> Message:
        """The next piece. What it took to come counts against what the caller may still take.

        The credit never grows beyond a pause: a caller cannot send fast first, and then hold the
        memory without sending on.
        """
        start = perf_counter()
        try:
            async with asyncio.timeout(min(self._credit, UPLOAD_SECONDS - self._waited)):
                message = await self._request.receive()
        except TimeoutError:
            raise Problem(
                "upload-too-slow",
                f"{self.received} bytes arrived in {self._waited + perf_counter() - start:.0f} s; "
                f"accepted are {MINIMUM_RATE} bytes a second and more, pauses of "
                f"{PAUSE_SECONDS:g} s, and {UPLOAD_SECONDS:g} s for a file. Send the image over a "
                "better connection, or smaller.",
                _CLOSE,
            ) from None
        finally:
            waited = perf_counter() - start
            self._waited += waited
        gained = len(message.get("body", b"")) / MINIMUM_RATE
        self._credit = min(PAUSE_SECONDS, self._credit - waited + gained)
        return message

    def _note(self) -> None:
        observation = observed(self._request.scope)
        observation.received = self.received
        observation.stages["read"] = self._waited

    def _too_large(self, size: int) -> Problem:
        return Problem(
            "upload-too-large",
            f"The upload has {size / 1e6:.1f} MB or more; accepted are {self._limit / 1e6:.1f} "
            "MB. Export the image as JPEG, or smaller: about 2000 pixels wide is plenty.",
        )
