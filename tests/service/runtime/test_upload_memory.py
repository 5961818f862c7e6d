"""The memory of uploads: never more than there is, and nobody waits for ever."""

import asyncio
import random
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.problems import Problem
from service.runtime.upload_memory import Loan, UploadMemory


async def arrive(loan: Loan, pieces: int, piece: int = 1) -> None:
    """So many pieces of an upload, each of which may have to wait, for a minute at most."""
    for _ in range(pieces):
        await loan.take(piece, 60)
        await asyncio.sleep(0)


def test_what_is_lent_is_limited_and_given_back() -> None:
    async def run() -> None:
        memory = UploadMemory(10)
        with Loan(memory, 7) as first:
            await first.take(7, 0)
            with Loan(memory, 4) as second:
                with pytest.raises(Problem) as refused:
                    await second.take(4, 0.01)
                assert refused.value.kind.slug == "overloaded"
                assert memory.lent == 7
        assert memory.lent == 0
        with Loan(memory, 10) as third:
            await third.take(10, 0)

    asyncio.run(run())


def test_who_waits_goes_on_as_soon_as_enough_is_given_back() -> None:
    async def run() -> None:
        memory = UploadMemory(10)
        with Loan(memory, 6) as second:
            with Loan(memory, 5) as first:
                await first.take(5, 0)
                waiting = asyncio.create_task(second.take(6, 60))
                await asyncio.sleep(0)
                assert not waiting.done()
            await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_an_upload_that_announces_much_and_sends_little_keeps_nobody_out() -> None:
    async def run() -> None:
        memory = UploadMemory(20)
        with ExitStack() as stack:
            for _ in range(50):
                dripping = stack.enter_context(Loan(memory, 16))
                if memory.lent < 4:
                    await dripping.take(1, 0)
            with Loan(memory, 16) as honest:
                await arrive(honest, 16)

    asyncio.run(asyncio.wait_for(run(), 10))


def test_uploads_that_arrive_in_turn_are_all_completed() -> None:
    """Twelve of 2.5 share 20, of which eight have room; by halves, none would ever be whole."""

    async def run() -> None:
        memory = UploadMemory(200)

        async def upload() -> None:
            with Loan(memory, 25) as loan:
                await arrive(loan, 25)
                loan.settle()
                await asyncio.sleep(0.001)

        await asyncio.gather(*(upload() for _ in range(12)))
        assert memory.lent == 0

    asyncio.run(asyncio.wait_for(run(), 10))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_whatever_the_sizes_all_are_completed_and_no_more_is_lent_than_there_is(
    uploads: list[tuple[int, int]], order: random.Random
) -> None:
    async def run() -> None:
        memory = UploadMemory(20)

        async def upload(size: int, piece: int) -> None:
            with Loan(memory, size) as loan:
                while loan.lent < size:
                    await loan.take(min(piece, size - loan.lent), 60)
                    assert memory.lent <= memory.total
                    for _ in range(order.randrange(3)):
                        await asyncio.sleep(0)
                loan.settle()

        await asyncio.gather(*(upload(*one) for one in uploads))
        assert memory.lent == 0

    asyncio.run(asyncio.wait_for(run(), 10))


def test_an_upload_shorter_than_it_might_have_been_lets_others_go_on() -> None:
    """One without an announced length may come to the limit, until it is whole."""

    async def run() -> None:
        memory = UploadMemory(20)
        with Loan(memory, 16) as chunked, Loan(memory, 16) as other:
            await chunked.take(8, 0)
            waiting = asyncio.create_task(arrive(other, 12))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            chunked.settle()
            await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_who_stops_waiting_is_lent_nothing() -> None:
    async def run() -> None:
        memory = UploadMemory(10)
        with Loan(memory, 10) as first, Loan(memory, 10) as gone:
            await first.take(10, 0)
            waiting = asyncio.create_task(gone.take(10, 60))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert memory.lent == 0

    asyncio.run(run())
