"""Screens parts of a run: what a worker does, on this machine or on another.

Whoever asks for a part may be killed, and ask again, or two may ask at once: the part has one name,
and the file appears there whole. Nothing that a worker keeps from one part to the next belongs to
more than one run.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Final

from service.inference.loaded_model import load_bundle
from service.offline.answer import PASSING
from service.offline.archive.alone import Died, each_alone
from service.offline.archive.part_file import part_name, write_part
from service.offline.archive.plan import Plan, PlannedPaths
from service.offline.archive.storage import Folder
from service.offline.row import UNREADABLE, Row
from service.offline.screener import Screener
from service.settings import Settings
from shared.network import NetworkInvalid, warm_up

_TRIES: Final = 3
_IN_A_ROW: Final = 16
"""So many failures one after the other, and the machine is at fault, not the images."""
_DEATHS: Final = 2
"""After so many attempts at a part that ended with their process, its images are kept apart."""


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        number: The part.
        images: How many files it has.
        unfinished: Why it is not finished; empty where it is.
    """

    number: int
    images: int
    unfinished: str = ""


class Unfinished(Exception):
    """A part cannot be finished now, through no fault of its images; the message says why."""


class Worker:
    """Screens parts of one run."""

    def __init__(self, folder: Folder, plan: Plan, screener: Screener) -> None:
        self._folder = folder
        self._plan = plan
        self._screener = screener
        self._paths = PlannedPaths(folder)
        self._reading_plan = Lock()

    def screen(self, number: int, screened: Callable[[int], object] = lambda _: None) -> Outcome:
        """Screens a part, unless it is finished already. Raises nothing.

        Args:
            number: The part.
            screened: Is told how many more files were looked at, now and then.
        """
        told = 0

        def tell(more: int) -> None:
            nonlocal told
            told += more
            screened(more)

        size = self._plan.size(number)
        try:
            if not self._folder.has(part_name(number)):
                self._finish(number, tell)
        except CancelledError:
            why = "stopped"
        except Unfinished as unfinished:
            why = str(unfinished)
        except OSError as error:
            why = f"{type(error).__name__}: {error}"
        else:
            tell(size - told)
            return Outcome(number, size)
        tell(-told)
        return Outcome(number, size, why)

    def _finish(self, number: int, tell: Callable[[int], None]) -> None:
        with self._reading_plan:
            paths = self._paths.of(number)
        marker = f"attempts/{number:05d}"
        attempts = self._attempts(marker)
        self._folder.write(marker, str(attempts + 1).encode())
        try:
            rows = self._rows(paths, tell, alone=attempts >= _DEATHS)
            write_part(self._folder, self._plan, number, rows)
        finally:  # but not where the process ends
            self._folder.remove(marker)

    def _attempts(self, marker: str) -> int:
        try:
            with self._folder.open(marker) as file:
                return int(file.read() or b"0")
        except FileNotFoundError:
            return 0

    def _rows(self, paths: list[str], tell: Callable[[int], None], alone: bool) -> list[Row]:
        """The rows of a part, where those that failed did so by their own fault."""
        found = self._apart(paths) if alone else self._screener.rows(paths)
        rows: list[Row] = []
        in_a_row = 0
        for row in found:
            rows.append(row)
            in_a_row = in_a_row + 1 if row.problem in PASSING else 0
            if in_a_row >= _IN_A_ROW:
                raise Unfinished(f"{row.problem}: {row.detail}")
            tell(1)
        failed = [place for place, row in enumerate(rows) if row.problem in PASSING]
        if alone:  # each was tried by itself
            return rows
        for _ in range(1, _TRIES):
            again = [paths[place] for place in failed]
            for place, row in zip(failed, self._screener.rows(again), strict=True):
                rows[place] = row
            failed = [place for place in failed if rows[place].problem in PASSING]
        if failed:
            self._blame(rows, failed)
        return rows

    def _blame(self, rows: list[Row], failed: list[int]) -> None:
        """Makes sure that all is well but the images.

        Raises:
            Unfinished: An image that was screened before is not any more, or there is none.
        """
        reason = f"{rows[failed[0]].problem}: {rows[failed[0]].detail}"
        control = next((row for row in rows if row.problem not in PASSING), None)
        if control is not None:
            if self._screener.row(control.path).problem in PASSING:
                raise Unfinished(reason)
            return
        if any(rows[place].problem == UNREADABLE for place in failed):
            raise Unfinished(reason)
        try:
            model = self._screener.model
            warm_up(model.network, len(model.manifest.heads), model.manifest.heatmap)
        except NetworkInvalid as failure:
            raise Unfinished(str(failure)) from failure

    def _apart(self, paths: list[str]) -> Iterator[Row]:
        model = self._screener.model
        work = partial(row_alone, str(model.source), self._screener.settings)
        for path, answer in zip(paths, each_alone(work, paths), strict=True):
            if not isinstance(answer, Died):
                yield answer
                continue
            detail = f"The process that screened it ended with status {answer.status}."
            yield Row.refused(path, "internal-error", detail, model)


def row_alone(bundle: str, settings: Settings, path: str) -> Row:
    """The row about one file, in a process of its own."""
    return _own_screener(bundle, settings).row(path)


@cache
def _own_screener(bundle: str, settings: Settings) -> Screener:
    return Screener(load_bundle(Path(bundle)), settings.model_copy(update={"cores": 1}))
