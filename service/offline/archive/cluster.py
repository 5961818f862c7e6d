"""Dask schedules the parts: this program asks a scheduler, whose workers are on many machines."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

from service.offline.archive.plan import Plan
from service.offline.archive.schedule import Engine, EngineLost
from service.offline.archive.task import screen_part
from service.offline.archive.worker import Outcome

_CONNECT_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 60
_AHEAD: Final = 2
"""Parts that each thread of a worker is given, so that none waits for the next one."""


@contextmanager
def dask(address: str, plan: Plan, out: str, screened: Callable[[int], object]) -> Iterator[Engine]:
    """The workers of a Dask scheduler, as many as there are.

    Args:
        address: `tcp://host:port`.
        plan: What is screened.
        out: Where the results go, as the workers see it.
        screened: Is told how many more files are done.

    Raises:
        EngineLost: The scheduler is not there, or has no workers.
    """
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # failures are told in our words
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as failure:
        raise EngineLost(f"no scheduler answers at {address}: {failure}") from failure
    try:
        threads = sum(client.nthreads().values())
        if threads == 0:
            raise EngineLost(f"the scheduler at {address} has no workers")

        def submit(number: int) -> Future[Outcome]:
            return _ask(client, asdict(plan), out, number, screened)

        yield Engine(submit, _AHEAD * threads)
    finally:
        client.close(timeout=2)


def _ask(
    client: Any, plan: dict[str, Any], out: str, number: int, screened: Callable[[int], object]
) -> Future[Outcome]:
    """Asks for a part. Dask's own futures of this kind may not end where the scheduler does.

    Raises:
        EngineLost: There is no scheduler any more.
    """
    answer: Future[Outcome] = Future()

    def done(asked: Any) -> None:
        try:
            outcome = Outcome(*asked.result(timeout=_ANSWER_SECONDS))
        except BaseException as lost:  # noqa: BLE001 - a cancelled one among them
            answer.set_exception(lost)
            return
        screened(0 if outcome.unfinished else outcome.images)
        answer.set_result(outcome)

    try:
        client.submit(screen_part, plan, out, number, pure=False).add_done_callback(done)
    except Exception as failure:
        raise EngineLost(f"the scheduler was lost: {failure}") from failure
    return answer
