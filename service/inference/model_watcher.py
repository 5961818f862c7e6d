"""Which model is served: the one that `current` names, taken up while the service runs.

A model is served whole or not at all: a request takes `engine.model` once and computes its answer
with that, so that a swap never mixes two. One that does not verify, does not load or answers
nonsense is refused, and the service keeps the one it has.
"""

import asyncio
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from service.inference.loaded_model import ServedModel, load_bundle
from service.inference.models_folder import Asked, asked_for
from shared.bundle.store import MANIFEST_NAME, BundleInvalid
from shared.runtime.malloc import return_free_memory

log = logging.getLogger(__name__)

DEFAULT_BUNDLE = Path(__file__).resolve().parents[2] / "models" / "default"

POLL_SECONDS: Final = 0.5
"""How often the models folder is looked at: a few stat calls, cheap enough to be at once."""

RETRY_SECONDS: Final = 60.0
"""A model that could not be read is tried again so much later: disks and networks recover."""


class Engine:
    """Keeps the model that answers, and looks for a newer one.

    Attributes:
        model: What is served, or None as long as nothing could be loaded.
        swaps: How often a model was taken up in place of another.
        refused: How often a model was refused.
        complaint: Why the model that was asked for is not the one that is served, or what the
            folder holds that asks for none; else None.
    """

    def __init__(self, models: Path, default: Path = DEFAULT_BUNDLE) -> None:
        self.model: ServedModel | None = None
        self.swaps = 0
        self.refused = 0
        self.complaint: str | None = None
        self._models = models
        self._default = default
        self._seen: object = None
        self._again_at = math.inf

    async def watch(self) -> None:
        """Looks for a model now, and again every `POLL_SECONDS`, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except Exception:
                log.exception("looking for a model failed")
            await asyncio.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Takes up the model that is asked for, if there is reason to. Blocks.

        There is if something changed since last time, or if what is there could not be read then.
        """
        asked = Asked()
        wrong: Exception | None = None
        try:
            asked = asked_for(self._models, self._default)
        except (BundleInvalid, OSError) as failure:
            wrong = failure.with_traceback(None)
        seen = str(wrong), asked.complaint, self._files(asked.bundle)
        if seen == self._seen and monotonic() < self._again_at:
            return
        self._seen = seen
        self._again_at = math.inf
        complaint = asked.complaint
        if complaint is not None:  # a wrong setting, say, or a volume that is yet to come
            facts = {"reason": complaint, "folder": str(self._models)}
            log.warning("models folder asks for no bundle", extra=facts)
        try:
            if wrong is not None:
                raise wrong
            if asked.bundle is not None:
                self._take_up(load_bundle(asked.bundle))
        except Exception as refusal:  # noqa: BLE001 - a damaged model raises anything
            complaint = self._refuse(refusal)
        self.complaint = complaint
        if self.model is None:
            self._fall_back(asked.bundle, wanted=wrong is not None or asked.bundle is not None)

    def _files(self, bundle: Path | None) -> object:
        """Changes when a file of the models that come into question does: opening checks each."""
        models = [self._default] if bundle is None else [self._default, bundle]
        try:
            return [
                (path, _stamp(path))
                for model in models
                for path in (model, *sorted(model.glob("*")))
            ]
        except OSError as failure:  # opening it will say so
            return str(failure)

    def _take_up(self, model: ServedModel) -> None:
        before = self.model and self.model.manifest.version
        swapped = before not in (None, model.manifest.version)
        self.model = model
        self.swaps += swapped
        facts = {"model": model.manifest.version, "source": str(model.source), "swap": swapped}
        log.info("model taken up", extra=facts)
        return_free_memory()  # what loading left, and the model before this one

    def _refuse(self, refusal: Exception) -> str:
        self.refused += 1
        reason = str(refusal) or type(refusal).__name__
        log.error("model refused", extra={"reason": reason})
        if isinstance(refusal.__cause__ or refusal, OSError | MemoryError):
            self._again_at = monotonic() + RETRY_SECONDS
        return reason

    def _fall_back(self, refused: Path | None, wanted: bool) -> None:
        """At start, with nothing usable asked for: the newest good bundle, or the shipped one.

        Args:
            refused: What was asked for and cannot be served.
            wanted: Whether the folder asks for anything; where it does not, it is left alone.
        """
        for path in self._others(wanted):
            if path == refused:
                continue
            try:
                self._take_up(load_bundle(path))
            except Exception as refusal:  # noqa: BLE001 - a damaged model raises anything
                reason = self._refuse(refusal)
                self.complaint = self.complaint or reason
            else:
                return

    def _others(self, wanted: bool) -> Iterator[Path]:
        if wanted:
            manifests = self._models.glob(f"[!.]*/{MANIFEST_NAME}")
            bundles = {path.parent for path in manifests} - {self._default}
            yield from sorted(bundles, key=lambda path: path.name, reverse=True)
        yield self._default


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Changes when a file is written, replaced or let be read; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
