"""Reading a body: limits of size and time, and callers who dawdle or vanish."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.http.upload import Upload
from service.problems import OVERLOADED, UPLOAD_TOO_LARGE, UPLOAD_TOO_SLOW, Problem
from service.runtime.byte_budget import ByteBudget
from service.runtime.worker_pool import ClientGone
from service.settings import Settings

BUDGET = 10_000


def request(receive: Callable[[], Awaitable[Message]], **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": pairs}, receive)


def arriving(*chunks: bytes, pause: float = 0) -> Callable[[], Awaitable[Message]]:
    """A caller who sends these chunks, each after a pause, and the end with the last one."""
    left = list(chunks)

    async def receive() -> Message:
        await asyncio.sleep(pause)
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return receive


def read(
    receive: Callable[[], Awaitable[Message]], limit: int = 5000, **settings: Any
) -> tuple[bytes, ByteBudget]:
    budget = ByteBudget(BUDGET)

    async def run() -> bytes:
        with Upload(request(receive), limit, budget, Settings(**settings)) as upload:
            return await upload.whole()

    try:
        return asyncio.run(run()), budget
    finally:
        assert budget.taken == 0, "the budget is given back whatever happened"


def refused(receive: Callable[[], Awaitable[Message]], **options: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        read(receive, **options)
    return problem.value


def test_chunks_are_put_together() -> None:
    assert read(arriving(b"ab", b"", b"cd"))[0] == b"abcd"


def test_the_limit_holds_while_reading() -> None:
    assert refused(arriving(*[bytes(1000)] * 6)).kind is UPLOAD_TOO_LARGE


def test_an_announced_length_is_refused_before_reading() -> None:
    async def receive() -> Message:
        raise AssertionError("nothing should be read")

    with pytest.raises(Problem) as problem:
        Upload(request(receive, content_length="5001"), 5000, ByteBudget(BUDGET), Settings())
    assert problem.value.kind is UPLOAD_TOO_LARGE


def test_the_shared_memory_is_limited() -> None:
    assert refused(arriving(bytes(BUDGET + 1)), limit=20_000).kind is OVERLOADED


def test_a_byte_now_and_then_is_cut_off() -> None:
    drip = arriving(*[b"x"] * 1000, pause=0.03)
    problem = refused(drip, upload_grace_seconds=0.2, upload_minimum_rate=1000)
    assert problem.kind is UPLOAD_TOO_SLOW
    assert problem.headers["Connection"] == "close"


def test_bytes_that_came_fast_do_not_buy_a_silence() -> None:
    """4000 of them would allow for 40 s at the minimum rate."""
    left = [bytes(4000)]

    async def receive() -> Message:
        if not left:
            await asyncio.sleep(20)
        return {"type": "http.request", "body": left.pop(), "more_body": True}

    begun = time.monotonic()
    problem = refused(receive, upload_grace_seconds=0.2, upload_minimum_rate=100)
    assert problem.kind is UPLOAD_TOO_SLOW
    assert time.monotonic() - begun < 10


def test_a_slow_but_steady_upload_goes_through() -> None:
    steady = arriving(*[bytes(100)] * 10, pause=0.05)
    body, _ = read(steady, upload_grace_seconds=0.2, upload_minimum_rate=300)
    assert len(body) == 1000


def test_there_is_a_limit_for_the_whole_upload() -> None:
    steady = arriving(*[bytes(100)] * 100, pause=0.02)
    problem = refused(steady, limit=100_000, upload_seconds=0.2, upload_minimum_rate=1)
    assert problem.kind is UPLOAD_TOO_SLOW


def read_files(files: int) -> None:
    """Reads 0.6 s of an upload that may bring four files of 0.5 s; it brings fewer."""
    steady = arriving(*[bytes(100)] * 20, pause=0.03)
    settings = Settings(upload_seconds=0.5, upload_minimum_rate=1)

    async def run() -> None:
        with Upload(request(steady), 5000, ByteBudget(BUDGET), settings, files=4) as upload:
            async for _ in upload.chunks():
                if upload.received % (2000 // files) == 0:
                    upload.next_file()

    asyncio.run(run())


def test_the_limit_for_a_file_begins_anew_with_each() -> None:
    read_files(4)


def test_the_limit_for_a_file_is_no_longer_because_there_may_be_more() -> None:
    with pytest.raises(Problem) as problem:
        read_files(1)
    assert problem.value.kind is UPLOAD_TOO_SLOW


def test_a_caller_who_hangs_up_is_noticed() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        read(receive)


def test_an_upload_of_many_files_leaves_memory_to_single_ones() -> None:
    """It has files under way that fill its share: it waits, and the other does not have to."""
    budget = ByteBudget(BUDGET)
    settings = Settings(body_limit=2000)

    async def read_many() -> None:
        pieces = arriving(*[bytes(1000)] * 30)
        with Upload(request(pieces), 50_000, budget, settings, files=30) as upload:
            upload.under_way = 1
            await upload.whole()

    async def run() -> bytes:
        many = asyncio.create_task(read_many())
        await asyncio.sleep(0.1)
        try:
            with Upload(request(arriving(bytes(2000))), 2000, budget, settings) as upload:
                return await upload.whole()
        finally:
            many.cancel()

    assert len(asyncio.run(run())) == 2000


def test_uploads_of_many_files_do_not_wait_for_each_other_for_ever() -> None:
    """Each holds a piece of a file and needs more than is left: all but one give way."""
    budget = ByteBudget(BUDGET)

    async def upload() -> int:
        pieces = arriving(*[bytes(1000)] * 8, pause=0.001)
        settings = Settings(answer_seconds=2)
        with Upload(request(pieces), BUDGET, budget, settings, files=2) as upload:
            return len(await upload.whole())

    async def run() -> list[int | BaseException]:
        outcomes = await asyncio.gather(*(upload() for _ in range(3)), return_exceptions=True)
        assert budget.try_take(BUDGET)
        later = asyncio.create_task(upload())
        await asyncio.sleep(0.1)
        budget.give_back(BUDGET)
        assert await later == 8000, "it may wait, as nobody else does any more"
        return outcomes

    outcomes = asyncio.run(run())
    assert outcomes.count(8000) == 1
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    assert [refusal.kind for refusal in refusals] == [OVERLOADED] * 2
    assert budget.taken == 0
