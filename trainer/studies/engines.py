"""Who trains the cells: this process, or the workers of a Dask scheduler. Numbers go out."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any

from shared.runtime.file_lock import Held
from trainer.console import say
from trainer.errors import TrainerError
from trainer.studies.cell import finish_cell
from trainer.studies.plan import Plan
from trainer.studies.task import train_cell

Outcome = tuple[int, str]
"""A cell, and why it is not finished; empty where it is."""
_CONNECT_SECONDS = 10


def train_here(plan: Plan, numbers: Iterable[int]) -> Iterator[Outcome]:
    """Train cells one after the other; those that other processes work on last."""
    held: dict[int, Held] = {}

    def outcome(number: int, wait: bool) -> Outcome:
        try:
            finish_cell(plan, plan.design.cells[number], wait)
        except TrainerError as error:
            return number, str(error)
        return number, ""

    for number in numbers:
        try:
            yield outcome(number, wait=False)
        except Held as holder:
            held[number] = holder
    for number, other in held.items():
        say("Waiting", f"for {plan.design.cells[number]}, which {other} works on")
        yield outcome(number, wait=True)


def train_on_cluster(address: str, plan: Plan, numbers: Iterable[int]) -> Iterator[Outcome]:
    """Have the workers of a Dask scheduler train cells, as many at once as there are workers.

    Args:
        address: `tcp://host:port`.
        plan: Of the study; workers see the same folders by the same paths.
        numbers: The cells.

    Raises:
        TrainerError: The scheduler is not there, or is not any more.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as missing:
        raise TrainerError(
            f"--scheduler needs {missing.name}, which is not installed: pip install '.[cluster]'"
        ) from missing
    # Failures are told in our words.
    for name in ("distributed", "distributed.client"):  # the second has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as failure:
        raise TrainerError(
            f"No scheduler answers at {address}: {failure}. Start one with `python -m dask "
            "scheduler`, and workers with `python -m dask worker`."
        ) from failure
    try:
        where = str(plan.data), str(plan.out)
        asked = {client.submit(train_cell, plan.id, n, *where, pure=False): n for n in numbers}
        if not client.nthreads():
            say("Waiting", f"for workers: python -m dask worker {address} --nthreads 1 --no-nanny")
    except Exception as failure:
        client.close(timeout=2)
        raise TrainerError(f"The scheduler at {address} was lost: {failure}.") from failure
    try:
        for future in as_completed(asked):
            yield asked[future], _problem(future)
    finally:
        client.close(timeout=2)


def _problem(future: Any) -> str:
    try:
        future.result()
    except TrainerError as error:
        return str(error)
    except CancelledError:
        return "The scheduler was lost."
    except Exception as failure:  # noqa: BLE001 - whatever becomes of a lost worker
        return f"{type(failure).__name__}: {failure}."
    return ""
