"""Reading a body: limits of size and time, and callers who dawdle or vanish."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.http import upload as uploading
from service.http.upload import Upload
from service.problems import Problem
from service.runtime.upload_memory import UploadMemory
from service.runtime.worker_pool import Capacity, ClientGone

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
    receive: Callable[[], Awaitable[Message]], limit: int = 5000, patience: float = 0.05
) -> bytes:
    async def run() -> bytes:
        capacity, memory = Capacity(1, 1), UploadMemory(BUDGET)
        try:
            async with capacity.place() as place:
                with Upload(request(receive), limit, memory, patience) as upload:
                    body = await upload.whole(place)
                    assert capacity.occupied == 1
                    assert memory.lent == len(body)
                    return body
        finally:
            assert memory.lent == 0, "it is given back whatever happened"
            capacity.close()

    return asyncio.run(run())


def refused(receive: Callable[[], Awaitable[Message]], **options: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        read(receive, **options)
    return problem.value


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads have to be much faster than they have to be."""
    monkeypatch.setattr(uploading, "PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(uploading, "MINIMUM_RATE", 1000)


def test_chunks_are_put_together() -> None:
    assert read(arriving(b"ab", b"", b"cd")) == b"abcd"


def test_the_limit_holds_while_reading() -> None:
    assert refused(arriving(*[bytes(1000)] * 6)).kind.slug == "upload-too-large"


def test_an_announced_length_is_refused_before_reading() -> None:
    async def receive() -> Message:
        raise AssertionError("nothing should be read")

    with pytest.raises(Problem) as problem:
        Upload(request(receive, content_length="5001"), 5000, UploadMemory(BUDGET), 0)
    assert problem.value.kind.slug == "upload-too-large"


def test_the_shared_memory_is_limited() -> None:
    assert refused(arriving(bytes(BUDGET + 1)), limit=20_000).kind.slug == "overloaded"


@pytest.mark.usefixtures("hasty")
def test_a_byte_now_and_then_is_cut_off() -> None:
    problem = refused(arriving(*[b"x"] * 1000, pause=0.03))
    assert problem.kind.slug == "upload-too-slow"
    assert problem.headers["Connection"] == "close"


@pytest.mark.usefixtures("hasty")
def test_bytes_that_came_fast_do_not_buy_a_silence() -> None:
    """4000 of them would allow for 4 s at the minimum rate."""
    left = [bytes(4000)]

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(), "more_body": True}

    begun = time.monotonic()
    assert refused(receive).kind.slug == "upload-too-slow"
    assert time.monotonic() - begun < 3


@pytest.mark.usefixtures("hasty")
def test_a_slow_but_steady_upload_goes_through() -> None:
    assert len(read(arriving(*[bytes(300)] * 10, pause=0.05))) == 3000


def test_there_is_a_limit_for_the_whole_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "UPLOAD_SECONDS", 0.2)
    problem = refused(arriving(*[bytes(100)] * 100, pause=0.02), limit=BUDGET)
    assert problem.kind.slug == "upload-too-slow"


def test_a_dawdling_upload_gives_its_place_up_until_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploading, "DAWDLING_SECONDS", 0.01)
    monkeypatch.setattr(uploading, "RETURNING_SECONDS", 0.05)

    async def run() -> None:
        capacity = Capacity(1, 0)
        whole = asyncio.Event()

        async def receive() -> Message:
            await whole.wait()
            return {"type": "http.request", "body": b"x"}

        async def upload() -> bytes:
            async with capacity.place() as place:
                with Upload(request(receive), 10, UploadMemory(BUDGET), 0) as upload:
                    return await upload.whole(place)

        slow = asyncio.create_task(upload())
        await asyncio.sleep(0)
        assert capacity.occupied == 1
        while capacity.occupied:
            await asyncio.sleep(0.01)
        async with capacity.place():
            whole.set()
            with pytest.raises(Problem) as full:
                await slow
            assert full.value.kind.slug == "overloaded"
        assert await upload() == b"x"
        capacity.close()

    asyncio.run(run())


def test_a_caller_who_hangs_up_is_noticed() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        read(receive)
