"""As many images at once as there are cores, a short queue, no more."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest

from service.problems import Problem
from service.runtime.worker_pool import Capacity, ClientGone, Place


@pytest.fixture
def capacity() -> Iterator[Capacity]:
    capacity = Capacity(cores=2, queue=3)
    yield capacity
    capacity.close()


async def never() -> None:
    await asyncio.Event().wait()


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


async def take(capacity: Capacity, count: int, stack: AsyncExitStack) -> list[Place]:
    """So many places, for as long as the stack is open."""
    return [await stack.enter_async_context(capacity.place()) for _ in range(count)]


def test_places_are_limited_and_come_free_again(capacity: Capacity) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            await take(capacity, 5, stack)
            with pytest.raises(Problem) as full:
                await take(capacity, 1, stack)
            assert full.value.kind.slug == "overloaded"
            assert int(full.value.headers["Retry-After"]) >= 1
        assert capacity.occupied == 0

    in_loop(test)


def test_who_waits_gets_the_next_place_before_those_who_do_not(capacity: Capacity) -> None:
    async def test() -> None:
        async with capacity.place() as slow, AsyncExitStack() as others:
            slow.leave()
            first, *_ = await take(capacity, 5, others)
            returning = asyncio.create_task(slow.take(30))
            await asyncio.sleep(0)
            first.leave()
            with pytest.raises(Problem):
                await take(capacity, 1, others)
            await returning
            assert capacity.occupied == 5

    in_loop(test)


def test_whoever_stops_waiting_leaves_the_place_to_the_next(capacity: Capacity) -> None:
    async def test() -> None:
        taken = [Place(capacity) for _ in range(5)]
        for place in taken:
            await place.take(0)
        waiting = [Place(capacity) for _ in range(3)]
        given_up, late, patient = (
            asyncio.create_task(place.take(seconds))
            for place, seconds in zip(waiting, (30, 0.01, 30), strict=True)
        )
        with pytest.raises(Problem):
            await late
        taken[0].leave()  # to the first of those who wait, who goes at that moment
        given_up.cancel()
        await patient
        assert capacity.occupied == 5
        for place in (*taken, *waiting):
            place.leave()
        assert capacity.occupied == 0

    in_loop(test)


def test_no_more_run_at_once_than_there_are_cores(capacity: Capacity) -> None:
    running = most = 0
    lock = threading.Lock()
    pause = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pause.wait(0.02)
        with lock:
            running -= 1

    async def test() -> None:
        await asyncio.gather(*(capacity.run(work, 30) for _ in range(20)))
        assert most == 2

    in_loop(test)


def test_work_for_a_caller_who_hung_up_is_not_done(capacity: Capacity) -> None:
    blocked = threading.Event()
    done: list[str] = []

    async def gone() -> None:
        return None

    async def test() -> None:
        busy = [asyncio.create_task(capacity.run(blocked.wait, 30, never)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(ClientGone):
            await capacity.run(lambda: done.append("worked"), 30, gone)
        blocked.set()
        await asyncio.gather(*busy)
        await capacity.run(lambda: done.append("next"), 30)
        assert done == ["next"]

    in_loop(test)


def test_what_a_caller_who_hung_up_sent_is_let_go_at_once(capacity: Capacity) -> None:
    """The thread pool itself would keep it until a worker comes to it."""
    blocked = threading.Event()

    class Upload:
        pass

    async def gone() -> None:
        return None

    async def test() -> None:
        busy = [asyncio.create_task(capacity.run(blocked.wait, 30, never)) for _ in range(2)]
        await asyncio.sleep(0.05)
        upload = Upload()
        kept = weakref.ref(upload)
        with pytest.raises(ClientGone):
            await capacity.run(partial(repr, upload), 30, gone)
        del upload
        gc.collect()
        left = kept()
        blocked.set()
        await asyncio.gather(*busy)
        assert left is None

    in_loop(test)


def test_what_work_that_fails_had_is_let_go_without_garbage_collection(capacity: Capacity) -> None:
    class Upload:
        def fail(self) -> None:
            raise LookupError

    async def test() -> None:
        upload = Upload()
        kept = weakref.ref(upload)
        with suppress(LookupError):
            await capacity.run(upload.fail, 30, never)
        del upload
        for _ in range(100):  # the worker may hold on to it for a moment
            if kept() is None:
                break
            await asyncio.sleep(0.02)
        assert kept() is None

    gc.collect()
    gc.disable()
    try:
        in_loop(test)
    finally:
        gc.enable()


def test_a_long_wait_ends_with_a_problem(capacity: Capacity) -> None:
    blocked = threading.Event()

    async def test() -> None:
        with pytest.raises(Problem) as late:
            await capacity.run(blocked.wait, 0.05, never)
        assert late.value.kind.slug == "took-too-long"
        blocked.set()

    in_loop(test)


def test_what_the_work_raises_comes_out(capacity: Capacity) -> None:
    def fail() -> None:
        raise LookupError("as it was")

    async def test() -> None:
        with pytest.raises(LookupError, match="as it was"):
            await capacity.run(fail, 30, never)
        assert capacity.running == 0

    in_loop(test)
