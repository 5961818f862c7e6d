"""What the machine can take on: as many images at once as there are cores, a short queue, no more.

A caller gets a place before a byte of its body is read, so that a refusal costs neither side an
upload. An upload that dawdles gives its place up to others: slow clients can never fill the house.
"""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, TypeVar

from service.problems import Problem, overloaded
from service.runtime.cpus import one_core_each, settle_worker

Answer = TypeVar("Answer")


class ClientGone(Exception):
    """The caller hung up; nobody is left to answer."""


class Capacity:
    """The worker threads and the queue before them.

    Attributes:
        cores: How many images are worked on at once.
        limit: How many may be here at all: worked on, waiting, or just arriving.
        occupied: How many are here now.
        places: What they take, in the order of asking.
    """

    def __init__(self, cores: int, queue: int, hangs_after: float = math.inf) -> None:
        """Starts no worker yet.

        Args:
            cores: How many images to work on at once.
            queue: How many more may be here.
            hangs_after: Seconds at one image after which a worker is taken to hang.
        """
        self._hangs_after = hangs_after
        self.cores = cores
        self.limit = cores + queue
        self.occupied = 0
        self.places = asyncio.Semaphore(self.limit)
        self._begun: dict[int, float] = {}  # when each worker that works began, by its thread
        self._workers = ThreadPoolExecutor(
            cores,
            thread_name_prefix="screening",
            initializer=settle_worker,
            initargs=(one_core_each(cores),),
        )

    @property
    def running(self) -> int:
        """How many images are worked on now."""
        return len(self._begun)

    @property
    def hung(self) -> int:
        """How many workers have been at one image for so long that they may never come back.

        A thread cannot be ended from outside: only a new process has that core again.
        """
        until = perf_counter() - self._hangs_after
        return sum(begun < until for begun in list(self._begun.values()))

    def check(self) -> None:
        """Finds out whether a worker is left for the images to come.

        Raises:
            Problem: `workers-hung`; none is.
        """
        if self.hung == self.cores:
            raise Problem(
                "workers-hung",
                f"Each of {self.cores} workers has been at one image for more than "
                f"{self._hangs_after:g} s. Restart the service.",
                {"Retry-After": "10"},
            )

    @property
    def waiting(self) -> int:
        """How many images have a place and are not worked on yet."""
        return max(0, self.occupied - self.running)

    @asynccontextmanager
    async def place(self) -> AsyncIterator["Place"]:
        """A place for the length of a block.

        Raises:
            Problem: `overloaded`; there is no room.
        """
        place = Place(self)
        try:
            await place.take(0)
            yield place
        finally:
            place.leave()

    async def run(
        self,
        work: Callable[[], Answer],
        seconds: float,
        hang_up: Callable[[], Awaitable[object]] | None = None,
    ) -> Answer:
        """Runs work on a worker thread, unless the caller hangs up or time runs out first.

        Args:
            work: What to do. It must not touch the event loop.
            seconds: How long to wait for it, its time in the queue included.
            hang_up: Returns when the caller has gone, as an ASGI `receive` does after the body.

        Raises:
            ClientGone: The caller hung up.
            Problem: `took-too-long`.
        """
        waiting = [work]  # emptied at the end: the thread pool would keep work that was cancelled
        started = self._workers.submit(self._count, waiting)
        answer = asyncio.wrap_future(started)
        gone = None if hang_up is None else asyncio.ensure_future(hang_up())
        waited_for: set[asyncio.Future[Any]] = {answer} if gone is None else {answer, gone}
        try:
            await asyncio.wait(waited_for, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone is not None and gone.done():
                raise ClientGone
            raise Problem(
                "took-too-long",
                f"There was no answer within {seconds:g} s. Send a smaller image, or send it "
                "again later.",
                {"Retry-After": "1"},
            )
        finally:
            waiting.clear()
            started.cancel()  # at once, which cancelling `answer` would do a little later
            answer.cancel()
            if gone is not None:
                gone.cancel()
            # What work raises refers to this frame. If that went on to refer to what was raised,
            # the upload would be in memory until the garbage collector came by.
            del started, answer, waited_for

    def close(self) -> None:
        """Lets the worker threads end."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _count(self, waiting: list[Callable[[], Answer]]) -> Answer:
        self._begun[threading.get_ident()] = perf_counter()
        try:
            return waiting.pop()()
        finally:
            del self._begun[threading.get_ident()]


class Place:
    """One request's place among the images that arrive, wait or are worked on."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._counted = False

    def leave(self) -> None:
        """Gives the place up."""
        if self._counted:
            self._counted = False
            self._capacity.occupied -= 1
            self._capacity.places.release()

    async def take(self, seconds: float) -> None:
        """Takes a place, unless it has one.

        Args:
            seconds: How long to wait for one, after those who waited before.

        Raises:
            Problem: `overloaded`; there was no room in that time.
        """
        if self._counted:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._capacity.places.acquire()
        except TimeoutError:
            raise overloaded(f"All {self._capacity.limit} places are taken.") from None
        self._counted = True
        self._capacity.occupied += 1
