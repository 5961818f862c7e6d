"""Screens many files at once with one model: reading runs ahead of the cores, within a budget."""

import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from service.inference.loaded_model import ServedModel
from service.inference.model_watcher import Engine
from service.offline.answer import answer, check_size
from service.offline.archive.storage import read_image
from service.offline.row import Row
from service.runtime.byte_budget import ByteBudget
from service.settings import Settings
from shared.imaging.hardening import harden
from shared.runtime.malloc import keep_small_blocks, share_arenas

_AHEAD: Final = 4
"""Files that are read or wait, for each core: storage that is far away takes its time."""

_BESIDE: Final = 4 * 1024 * 1024
"""Memory for other files beside one of the largest."""


def load_model(settings: Settings) -> ServedModel | None:
    """The model to screen with; prints what is wrong with the models folder. None without any."""
    engine = Engine(settings.models)
    engine.look()
    if engine.complaint is not None:
        print(f"Warning: {engine.complaint}", file=sys.stderr)
    return engine.model


class Screener:
    """A model and the threads that screen with it: one for each core, others that read for them.

    Attributes:
        model: What answers.
        settings: How many cores, and how much memory.
    """

    def __init__(self, model: ServedModel, settings: Settings) -> None:
        harden()
        keep_small_blocks(settings.cores)
        share_arenas(settings.cores + 1)  # the readers, too, would each keep what they have read
        self.model = model
        self.settings = settings
        self.ahead = _AHEAD * settings.cores
        self._decoded = ByteBudget(settings.decoded_budget)
        self._read = ByteBudget(settings.body_limit + _BESIDE)
        self._readers = ThreadPoolExecutor(self.ahead, thread_name_prefix="reading")
        self._cores = ThreadPoolExecutor(settings.cores, thread_name_prefix="screening")

    def close(self) -> None:
        """Begins no further file, and waits for those under way."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._cores.shutdown(wait=True, cancel_futures=True)

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """A row about each file, in order. May be called from several threads at once.

        Raises:
            CancelledError: The screener was closed.
        """
        under_way: deque[Future[Row]] = deque()
        try:
            for path in paths:
                under_way.append(self._readers.submit(self.row, path))
                if len(under_way) >= 2 * self.ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for row in under_way:
                row.cancel()

    def row(self, path: str) -> Row:
        """The row about one file. Blocks; safe to call from several threads at once.

        Raises:
            CancelledError: The screener was closed.
        """
        taken = 0

        def admit(size: int) -> None:
            nonlocal taken
            check_size(self.settings.body_limit, size)
            self._read.try_take(size, math.inf)
            taken = size

        content: Future[bytes] = Future()
        try:
            content.set_result(read_image(path, admit))
        except Exception as failure:  # noqa: BLE001 - the row will tell
            content.set_exception(failure)
        try:
            return self._cores.submit(
                answer, path, self.model, self._decoded, content.result
            ).result()
        finally:
            self._read.give_back(taken)
