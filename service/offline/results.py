"""The file that a run over folders writes: a row a file, CSV or JSON lines, resumable."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, Self

from service.offline.answer import PASSING
from service.offline.row import Row
from service.offline.seen import SeenPaths
from shared.runtime.file_lock import FileLock
from shared.runtime.whole_file import replacing


class ResultsInvalid(ValueError):
    """The file cannot be continued; the message says why and what to do."""


COLUMNS: Final = [field.name for field in fields(Row)]
HEADER: Final = ",".join(COLUMNS) + "\n"


class Results:
    """The file, open for more rows and locked. A context, which closes it and lets it go.

    Attributes:
        path: Where it is.
        earlier: How many rows it held before.
    """

    def __init__(self, path: Path, model: str, fresh: bool = False) -> None:
        """Opens the file, and reads which files it is about.

        Args:
            path: `.csv` or `.jsonl`.
            model: The version that will answer: a file holds the answers of one.
            fresh: Whether to forget what it holds.

        Raises:
            ResultsInvalid: It is of another kind, or of another model.
            Held: Another run writes to it.
            OSError: It cannot be written.
        """
        if path.suffix not in (".csv", ".jsonl"):
            raise ResultsInvalid(
                f"{path}: the name must end with .csv or .jsonl, that of a folder with /."
            )
        self.path = path
        self._model = model
        self._csv = path.suffix == ".csv"
        self._seen = SeenPaths()
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            real = path.resolve()  # one lock for all links to it
            opened.enter_context(FileLock(real.with_name(f".{real.name}.lock")))
            if fresh:
                path.unlink(missing_ok=True)
            new = not path.exists() or path.stat().st_size == 0
            if not new:
                self._check_first_line()
                _drop_torn_row(path)
                self._remember()
            self.earlier = len(self._seen)
            self._file: IO[str] = opened.enter_context(
                path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
            )
            if (new or path.stat().st_size == 0) and self._csv:
                self._line(HEADER)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def claim(self, path: str) -> bool:
        """Takes on a file; false where there is a row about it, or it was taken on before."""
        return self._seen.add(_one_line(path))

    def write(self, row: Row) -> None:
        """Adds a row; it is whole in the file, or cut off and dropped by the next run."""
        self._line(self._text(asdict(row) | {"path": _one_line(row.path)}))

    def _text(self, values: dict[str, Any]) -> str:
        if not self._csv:
            return json.dumps(values) + "\n"
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values.values())
        return line.getvalue()

    def _line(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def _remember(self) -> None:
        """Takes up which files there are rows about, and drops those that are to be tried again."""
        passing = False

        def kept() -> Iterator[str]:
            nonlocal passing
            for values in self._read():
                if values.get("model") != self._model:
                    raise ResultsInvalid(
                        f"{self.path} holds answers of the model {values.get('model')!r}; the "
                        f"model now is {self._model!r}. Write to another file, or begin it anew "
                        "with --fresh."
                    )
                if values.get("problem") in PASSING:
                    passing = True
                else:
                    yield values["path"]

        self._seen = SeenPaths(kept())
        if passing:
            self._drop_passing_rows()

    def _drop_passing_rows(self) -> None:
        """Writes the file anew without the rows about files that are tried again."""
        path = self.path.resolve()
        rows = (self._text(row) for row in self._read() if row.get("problem") not in PASSING)
        with replacing(path) as file:
            shutil.copymode(path, file.name)
            for text in chain([HEADER] if self._csv else [], rows):
                file.write(text.encode("utf-8", "surrogateescape"))

    def _read(self) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            try:
                for values in _csv_rows(file) if self._csv else map(json.loads, file):
                    if not isinstance(values, dict) or not isinstance(values.get("path"), str):
                        raise ValueError("a line is no row")
                    yield values
            except (ValueError, csv.Error) as error:
                raise ResultsInvalid(
                    f"{self.path} is damaged ({error}). Name another file, or begin anew with "
                    "--fresh."
                ) from error

    def _check_first_line(self) -> None:
        """Makes sure that it is this command's file before a byte of it is changed."""
        beginning = HEADER if self._csv else '{"path": '
        with self.path.open("rb") as file:
            found = file.read(len(beginning))
        if not beginning.encode().startswith(found):
            raise ResultsInvalid(
                f"{self.path} was not written by this command, and is left as it is. Name another "
                "file."
            )


def _csv_rows(file: IO[str]) -> Iterator[dict[str, str]]:
    """As `csv.DictReader` has them, in a third of the time."""
    rows = csv.reader(file)
    next(rows, None)
    for row in rows:
        yield dict(zip(COLUMNS, row, strict=True))


def _one_line(path: str) -> str:
    """A path without line ends, which would tear a row."""
    return path.replace("\n", "\\n").replace("\r", "\\r")


def _drop_torn_row(path: Path) -> None:
    """Cuts off what a killed run left after the last line end."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)
