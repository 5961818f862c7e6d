"""The comparison of training epochs is a fair one."""

import time
from collections.abc import Callable

import pytest

from benchmarks.training import fastest


def test_sides_take_turns_and_the_fastest_of_as_many_epochs_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    now = 0.0
    # The first epoch is the fastest on purpose: it is not timed.
    seconds = {"plain": iter([1.0, 8.0, 4.0]), "ours": iter([1.0, 2.0, 5.0])}

    def epoch(name: str) -> Callable[[], None]:
        def run() -> None:
            nonlocal now
            order.append(name)
            now += next(seconds[name])

        return run

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    speed = fastest({name: (epoch(name), 40) for name in seconds}, rounds=2)
    assert order == ["plain", "ours"] * 3
    assert speed == {"plain": 10, "ours": 20}
