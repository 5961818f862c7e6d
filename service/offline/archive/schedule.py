"""Has all parts of a run finished: numbers go out, and what fails is asked for again."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from service.offline.archive.worker import Outcome, Worker

_PAUSES: Final = (1.0, 30.0)
"""Seconds until parts that failed are asked for again: at first, and doubled up to this."""


class EngineLost(Exception):
    """What schedules is gone, or was not reached; the message says what it was."""


@dataclass(frozen=True)
class Engine:
    """Something that screens parts.

    Attributes:
        submit: Asks for a part. A future that fails stands for a part that is not finished.
        width: How many parts to ask for at once.
    """

    submit: Callable[[int], Future[Outcome]]
    width: int


Opened = Callable[[], AbstractContextManager[Engine]]


@contextmanager
def threads(worker: Worker, screened: Callable[[int], object]) -> Iterator[Engine]:
    """This process: one part's end and the next one's beginning keep the cores busy together."""
    pool = ThreadPoolExecutor(2, thread_name_prefix="part")
    try:
        yield Engine(lambda number: pool.submit(worker.screen, number, screened), 2)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def finish_parts(numbers: Sequence[int], opened: Opened, patience: float) -> dict[int, str]:
    """Asks for parts until all are finished, or none has been for too long.

    Args:
        numbers: The parts.
        opened: Opens the engine; anew after it was lost.
        patience: Seconds without a finished part after which to give up.

    Returns:
        The parts that are not finished, with the reason.
    """
    waiting = dict.fromkeys(numbers, "not begun")
    pause, longest = _PAUSES
    progress = time.monotonic()
    while waiting:
        before = len(waiting)
        try:
            with opened() as engine:
                _ask_for_all(waiting, engine)
        except EngineLost as lost:
            waiting = dict.fromkeys(waiting, str(lost))
        if len(waiting) < before:
            progress, pause = time.monotonic(), _PAUSES[0]
        elif time.monotonic() + pause - progress > patience:
            break
        if waiting:
            time.sleep(pause)
            pause = min(2 * pause, longest)
    return waiting


def _ask_for_all(waiting: dict[int, str], engine: Engine) -> None:
    """Asks for every part once, as long as not all of them fail; drops the finished ones."""
    numbers = deque(waiting)
    asked: dict[Future[Outcome], int] = {}
    failed_in_a_row = 0
    while asked or (numbers and failed_in_a_row < 2 * engine.width):
        while numbers and len(asked) < engine.width and failed_in_a_row < 2 * engine.width:
            number = numbers.popleft()
            asked[engine.submit(number)] = number
        for future in wait(asked, return_when=FIRST_COMPLETED).done:
            outcome = _outcome(future, asked.pop(future))
            if outcome.unfinished:
                waiting[outcome.number] = outcome.unfinished
                failed_in_a_row += 1
            else:
                del waiting[outcome.number]
                failed_in_a_row = 0


def _outcome(future: Future[Outcome], number: int) -> Outcome:
    try:
        return future.result()
    except CancelledError:
        return Outcome(number, 0, "the scheduler was lost")
    except Exception as failure:  # noqa: BLE001 - whatever the engine makes of a lost worker
        return Outcome(number, 0, f"{type(failure).__name__}: {failure}")
