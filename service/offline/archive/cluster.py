"""Dask schedules the parts: this program asks a scheduler, whose workers are on many machines.

A worker has the project installed and its own settings, as `XRAY_` variables. It looks the run's
model up in its own models folder, and refuses to answer with another one.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

from service.inference.loaded_model import ServedModel, load_bundle
from service.inference.model_watcher import DEFAULT_BUNDLE
from service.offline.archive.plan import Plan
from service.offline.archive.schedule import Engine, EngineLost
from service.offline.archive.screener import Screener
from service.offline.archive.storage import open_folder
from service.offline.archive.worker import Outcome, Worker
from service.settings import SettingsInvalid, read_settings

_CONNECT_SECONDS: Final = 10
_AHEAD: Final = 2
"""Parts that each thread of a worker is given, so that none waits for the next one."""

_making_worker = Lock()


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
        executor = client.get_executor(pure=False)

        def tell(answered: Future[Outcome]) -> None:
            if not answered.cancelled() and answered.exception() is None:
                outcome = answered.result()
                screened(0 if outcome.unfinished else outcome.images)

        def submit(number: int) -> Future[Outcome]:
            asked: Future[Outcome] = executor.submit(screen_part, plan, out, number)
            asked.add_done_callback(tell)
            return asked

        yield Engine(submit, _AHEAD * threads)
    finally:
        client.close(timeout=2)


def screen_part(plan: Plan, out: str, number: int) -> Outcome:
    """Screens a part of a run: what the driver has the workers do."""
    try:
        with _making_worker:  # two threads, one model
            worker = _worker(plan, out)
    except Exception as failure:  # noqa: BLE001 - the driver is to say why
        return Outcome(number, plan.size(number), f"a worker does not start: {failure}")
    return worker.screen(number)


@lru_cache(maxsize=4)
def _worker(plan: Plan, out: str) -> Worker:
    return Worker(open_folder(out), plan, _screener(plan.model, plan.sha256))


@lru_cache(maxsize=1)
def _screener(version: str, sha256: str) -> Screener:
    try:
        settings = read_settings()
    except SettingsInvalid as invalid:
        raise ValueError(" ".join(str(invalid).splitlines())) from invalid
    return Screener(_find_model(settings.models, version, sha256), settings)


def _find_model(models: Path, version: str, sha256: str) -> ServedModel:
    """The model of this version; a newer one may be served by now, and is not what was asked for.

    Raises:
        ValueError: There is none with this network.
    """
    for bundle in (models / version, DEFAULT_BUNDLE):
        if (bundle / "model.json").exists():
            model = load_bundle(bundle)
            if (model.manifest.version, model.sha256) == (version, sha256):
                return model
    raise ValueError(f"there is no bundle {version} in its XRAY_MODELS, {models}")
