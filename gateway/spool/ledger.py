"""The rows about the images in the spool, in SQLite: what was done with each, and what is next.

A committed row outlives a loss of power (`synchronous=FULL`); a deleted one is overwritten.
"""

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS images (
    key TEXT PRIMARY KEY, image_uid TEXT NOT NULL, caller TEXT NOT NULL, received REAL NOT NULL,
    stage TEXT NOT NULL, model TEXT NOT NULL DEFAULT '', since REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, failure TEXT, next_try REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS images_due ON images (stage, failure, next_try);
CREATE TABLE IF NOT EXISTS done (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS done_at ON done (at);
"""


class Stage(StrEnum):
    """What has been done with an image."""

    RECEIVED = "received"
    SCREENED = "screened"


@dataclass(frozen=True)
class Entry:
    """An image in the spool.

    Attributes:
        key: Hash of the SOP Instance UID: names the files.
        image_uid: SOP Instance UID.
        caller: AE title of who sent it.
        received: When, in seconds since 1970.
        stage: What has been done: a `Stage`, as text.
        model: Version of the model that screened it; empty before.
        since: When it came to this stage, or was last taken off the list of failures.
        tries: How often it was tried at this stage without success.
        failure: Why it was given up; None while it is worked on.
    """

    key: str
    image_uid: str
    caller: str
    received: float
    stage: str
    model: str
    since: float
    tries: int
    failure: str | None


_COLUMNS: Final = ", ".join(field.name for field in fields(Entry))


class Ledger:
    """The rows. Whoever shares it between threads holds a lock around each call."""

    def __init__(self, file: Path) -> None:
        self._rows = sqlite3.connect(file, check_same_thread=False, timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._rows.execute(f"PRAGMA {pragma}")
        with self._rows:
            self._rows.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file, its log written into it if there is space."""
        with suppress(sqlite3.OperationalError):
            self._rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._rows.close()

    def keys(self) -> set[str]:
        """Those of all images that are here."""
        return {row[0] for row in self._rows.execute("SELECT key FROM images")}

    def has(self, key: str) -> bool:
        """Whether an image is here."""
        return self._value("SELECT 1 FROM images WHERE key = ?", key) is not None

    def done_with(self, key: str) -> str | None:
        """The version of the model that an image was screened with before; None: it was not."""
        found = self._value("SELECT model FROM done WHERE key = ?", key)
        return None if found is None else str(found)

    def add(self, key: str, image_uid: str, caller: str) -> None:
        """Adds an image that was received now."""
        now = time.time()
        with self._rows:
            self._rows.execute(
                "INSERT INTO images (key, image_uid, caller, received, since, stage)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key, image_uid, caller, now, now, Stage.RECEIVED),
            )

    def screened(self, key: str, model: str) -> None:
        """Moves an image on, to be delivered."""
        with self._rows:
            self._rows.execute(
                "UPDATE images SET stage = ?, model = ?, since = ?, tries = 0, next_try = 0"
                " WHERE key = ?",
                (Stage.SCREENED, model, time.time(), key),
            )

    def done(self, key: str, model: str, remember_seconds: float) -> None:
        """Removes an image, remembers its key, and forgets the keys that are older."""
        now = time.time()
        with self._rows:
            self._rows.execute("DELETE FROM images WHERE key = ?", (key,))
            self._rows.execute("DELETE FROM done WHERE at < ?", (now - remember_seconds,))
            self._rows.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", (key, model, now))

    def postpone(self, key: str, seconds: float, counts: bool) -> None:
        """Leaves an image alone for some time; `counts` is whether this was a failed try."""
        with self._rows:
            self._rows.execute(
                "UPDATE images SET tries = tries + ?, next_try = ? WHERE key = ?",
                (int(counts), time.time() + seconds, key),
            )

    def give_up(self, key: str, reason: str) -> None:
        """Marks an image as failed."""
        with self._rows:
            self._rows.execute("UPDATE images SET failure = ? WHERE key = ?", (reason, key))

    def retry(self, image_uid: str | None) -> int:
        """Takes the mark off one failed image, or all of them; how many those were."""
        with self._rows:
            changed = self._rows.execute(
                "UPDATE images SET failure = NULL, tries = 0, next_try = 0, since = ?1"
                " WHERE failure IS NOT NULL AND (?2 IS NULL OR image_uid = ?2)",
                (time.time(), image_uid),
            )
        return changed.rowcount

    def failures(self) -> list[Entry]:
        """The images that failed, the oldest first."""
        return self._entries("WHERE failure IS NOT NULL ORDER BY received", ())

    def due(self, stage: Stage, count: int) -> list[Entry]:
        """Images at a stage that may be worked on now, the oldest first, so many at most."""
        return self._entries(
            "WHERE stage = ? AND failure IS NULL AND next_try <= ? ORDER BY received LIMIT ?",
            (stage, time.time(), count),
        )

    def next_due(self, stage: Stage) -> float:
        """Seconds until another image at a stage may be worked on; infinite where there is none."""
        now = time.time()
        found = self._value(
            "SELECT MIN(next_try) FROM images WHERE stage = ? AND failure IS NULL AND next_try > ?",
            *(stage, now),
        )
        return float("inf") if found is None else max(0.0, float(found) - now)

    def depth(self) -> dict[str, int]:
        """How many images there are at each stage, and failed."""
        counted = self._rows.execute(
            "SELECT CASE WHEN failure IS NULL THEN stage ELSE 'failed' END AS state, COUNT(*)"
            " FROM images GROUP BY state"
        )
        return {stage.value: 0 for stage in Stage} | {"failed": 0} | dict(counted.fetchall())

    def oldest(self) -> float | None:
        """When the oldest image that is worked on was received."""
        found = self._value("SELECT MIN(received) FROM images WHERE failure IS NULL")
        return None if found is None else float(found)

    def _entries(self, rest: str, values: tuple[object, ...]) -> list[Entry]:
        rows = self._rows.execute(f"SELECT {_COLUMNS} FROM images {rest}", values)
        return [Entry(*row) for row in rows]

    def _value(self, query: str, *values: object) -> Any:
        row = self._rows.execute(query, values).fetchone()
        return None if row is None else row[0]
