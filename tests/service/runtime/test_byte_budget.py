"""Bytes that everything under way shares."""

import threading

import pytest

from service.runtime.byte_budget import ByteBudget


def test_what_is_taken_is_limited_and_given_back() -> None:
    budget = ByteBudget(10)
    assert budget.try_take(7)
    assert not budget.try_take(4)
    budget.give_back(7)
    assert budget.try_take(10)


def test_what_comes_back_in_time_is_waited_for() -> None:
    budget = ByteBudget(10)
    got: list[bool] = []
    assert budget.try_take(5)
    waiting = threading.Thread(target=lambda: got.append(budget.try_take(6, 60)))
    waiting.start()
    waiting.join(0.05)
    assert not got
    budget.give_back(5)
    waiting.join(30)
    assert got == [True]
    assert budget.taken == 6


@pytest.mark.parametrize("seconds", [-1, 0, 0.05])
def test_what_does_not_come_back_in_time_is_not_taken(seconds: float) -> None:
    budget = ByteBudget(10)
    assert budget.try_take(5)
    assert not budget.try_take(6, seconds)
    assert budget.taken == 5
