"""Bytes that everything under way shares."""

import threading

import pytest

from service.budget import ByteBudget


def test_what_is_taken_is_limited_and_given_back() -> None:
    budget = ByteBudget(10)
    assert budget.try_take(7)
    assert not budget.try_take(4)
    budget.give_back(7)
    assert budget.try_take(10)


def test_more_than_the_whole_is_an_error() -> None:
    with pytest.raises(ValueError, match="11"), ByteBudget(10).held(11):
        pass


def test_a_block_waits_for_its_bytes() -> None:
    budget = ByteBudget(10)
    got = threading.Event()

    def wait() -> None:
        with budget.held(6):
            got.set()

    waiting = threading.Thread(target=wait)
    with budget.held(5):
        waiting.start()
        assert not got.wait(0.05)
    waiting.join(10)
    assert got.is_set()
    assert budget.taken == 0


def test_a_failing_block_gives_back_too() -> None:
    budget = ByteBudget(10)
    with pytest.raises(KeyError), budget.held(10):
        raise KeyError
    assert budget.taken == 0
