"""The file that a run over folders writes: a row a file, CSV or JSON lines, resumable."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from service.offline.row import UNREADABLE, Row
from service.problems import INTERNAL, OVERLOADED

PASSING: Final = frozenset({UNREADABLE, INTERNAL.slug, OVERLOADED.slug})
"""Problems that are the machine's and not the image's: another run tries again."""


class ResultsInvalid(ValueError):
    """The file cannot be continued; the message says why and what to do."""


HEADER = ",".join(field.name for field in fields(Row)) + "\n"


class Results:
    """The file, open for more rows. A context, which closes it.

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
            OSError: It cannot be written.
        """
        if path.suffix not in (".csv", ".jsonl"):
            raise ResultsInvalid(f"{path}: the name must end with .csv or .jsonl.")
        self.path = path
        self.earlier = 0
        self._model = model
        self._csv = path.suffix == ".csv"
        self._known: set[int] = set()
        if fresh:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists() or path.stat().st_size == 0
        if not new:
            self._check_first_line()
            _drop_torn_row(path)
            if self._remember():
                self._drop_passing_rows()
        self._file: IO[str] = path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
        if (new or path.stat().st_size == 0) and self._csv:
            self._line(HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def claim(self, path: str) -> bool:
        """Takes on a file; false where there is a row about it, or it was taken on before."""
        known = _key(_one_line(path))
        if known in self._known:
            return False
        self._known.add(known)
        return True

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

    def _remember(self) -> bool:
        """Reads which files there are rows about; tells whether any is to be tried again.

        Keeps a hash of each path, not the paths: a run over millions of files fits in memory.
        """
        passing = False
        for values in self._read():
            if values.get("model") != self._model:
                raise ResultsInvalid(
                    f"{self.path} holds answers of the model {values.get('model')!r}; the model "
                    f"now is {self._model!r}. Write to another file, or begin it anew with "
                    "--fresh."
                )
            if values.get("problem") in PASSING:
                passing = True
                continue
            self._known.add(_key(values["path"]))
            self.earlier += 1
        return passing

    def _drop_passing_rows(self) -> None:
        """Writes the file anew without the rows about files that are tried again."""
        path = self.path.resolve()
        kept = path.with_name(f".{path.name}.kept")
        with kept.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if self._csv:
                file.write(HEADER)
            for values in self._read():
                if values.get("problem") not in PASSING:
                    file.write(self._text(values))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, kept)
        kept.replace(path)

    def _read(self) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            try:
                for values in csv.DictReader(file) if self._csv else map(json.loads, file):
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


def _key(path: str) -> int:
    """The same for a path however it is spelt, `images/a.png` or `./images/../images/a.png`."""
    return hash(os.path.normpath(Path(path).absolute()))


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
