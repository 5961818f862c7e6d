"""The worker's side of a cluster: finds the run's model, and keeps it from part to part.

A worker has the project installed and its own settings, as `XRAY_` variables. It looks the model
up in its own models folder, and refuses to answer with another one.
"""

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from service.inference.loaded_model import ServedModel, load_bundle
from service.inference.model_watcher import DEFAULT_BUNDLE
from service.offline.archive.plan import Plan
from service.offline.archive.storage import open_folder
from service.offline.archive.worker import Outcome, Worker
from service.offline.screener import Screener
from service.settings import read_settings
from shared.runtime.environment_settings import SettingsInvalid

_making_worker = Lock()


def screen_planned(said: dict[str, Any], out: str, number: int) -> tuple[int, int, str]:
    """Does what `screen_part` says."""
    plan = Plan(**{**said, "sources": tuple(said["sources"])})
    try:
        with _making_worker:  # two threads, one model
            worker = _worker(plan, out)
    except Exception as failure:  # noqa: BLE001 - the driver is to say why
        outcome = Outcome(number, plan.size(number), f"a worker does not start: {failure}")
    else:
        outcome = worker.screen(number)
    return outcome.number, outcome.images, outcome.unfinished


@lru_cache(maxsize=4)
def _worker(plan: Plan, out: str) -> Worker:
    """One for each run: by model, source and output."""
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
