"""How exactly pauses end."""

import sys
import threading
from pathlib import Path

import pytest

from shared.runtime.timer_slack import allow_slack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone knows timer slack")


def slack() -> int:
    """The calling thread's, in nanoseconds."""
    task = Path(f"/proc/{threading.get_native_id()}/timerslack_ns")
    return int(task.read_text())


def test_threads_take_it_over_from_the_one_that_starts_them() -> None:
    seen: list[int] = []

    def start_another() -> None:
        allow_slack(0.003)
        other = threading.Thread(target=lambda: seen.append(slack()))
        other.start()
        other.join()

    before = slack()
    starting = threading.Thread(target=start_another)
    starting.start()
    starting.join()
    assert seen == [3_000_000]
    assert slack() == before
