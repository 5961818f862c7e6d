"""What must not be lost: images that are not yet screened, results that are not yet delivered.

An image is a file and a row. Both are on disk, synchronised, before the sender is told success; the
row's stage says what is done, and whatever stops between two stages is done again from the earlier
one. When the results are delivered, file and row are removed; what stays is a hash of the image's
UID, for a while, so that an image that comes again is recognised.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.spool.ledger import Entry, Ledger, Stage
from shared.runtime.file_lock import FileLock, Held
from shared.runtime.whole_file import replacing, synchronise


class SpoolInUse(Exception):
    """Another gateway works on this spool."""


def key_of(image_uid: str) -> str:
    """The name that an image has in the spool: a hash of its SOP Instance UID."""
    return hashlib.sha256(image_uid.encode()).hexdigest()[:32]


class Spool:
    """A folder of images, with the rows about them. Threads may share it."""

    def __init__(self, folder: Path, remember_seconds: float = 30 * 86400.0) -> None:
        self._folder = folder
        self._remember_seconds = remember_seconds
        self.incoming = folder / "incoming"
        self._images = folder / "images"
        self._results = folder / "results"
        for path in (folder, self.incoming, self._images, self._results):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ledger = Ledger(folder / "spool.sqlite")
        synchronise(folder)
        self._changed = threading.Condition(threading.RLock())
        self._claimed: set[str] = set()
        self._ending = False
        self._lock: FileLock | None = None

    def own(self) -> None:
        """Takes the spool for this process, and removes what an earlier one left half done.

        Raises:
            SpoolInUse: Another process has it.
            OSError: The file system knows no locks, or cannot be written to.
        """
        try:
            self._lock = FileLock(self._folder / "lock")
        except Held as holder:
            self.close()
            raise SpoolInUse(f"another gateway works on {self._folder}: {holder}") from None
        known = self._ledger.keys()
        kept = (*self._images.iterdir(), *self._results.iterdir())
        stray = [path for path in kept if path.name.partition(".")[0] not in known]
        for path in (*stray, *self.incoming.iterdir()):
            path.unlink()

    def close(self) -> None:
        """Closes the rows' file, and lets others have the spool."""
        with self._changed:
            self._ledger.close()
            if self._lock is not None:
                self._lock.close()

    def image(self, entry: Entry) -> Path:
        """The image's file."""
        return self._images / f"{entry.key}.dcm"

    def results(self, entry: Entry) -> list[Path]:
        """The files of what was found, in the order in which they are sent."""
        return sorted(self._results.glob(f"{entry.key}.*.dcm"))

    def free_bytes(self) -> int:
        """Space on the disk that this process may use."""
        found = os.statvfs(self.incoming)
        return found.f_bavail * found.f_frsize

    def unfinished(self) -> list[Path]:
        """The files in `incoming`: images that are coming in, or never came whole."""
        return list(self.incoming.iterdir())

    def clear(self, files: list[Path], seconds: float) -> None:
        """Removes those of the unfinished files that were not written to for so long."""
        for path in files:
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= seconds:
                    path.unlink()

    def knows(self, image_uid: str, again: bool = False) -> bool:
        """Whether an image is here already, or was before.

        Args:
            image_uid: Its SOP Instance UID.
            again: Whether those that are done with count as unknown.
        """
        key = key_of(image_uid)
        with self._changed:
            done = not again and self._ledger.done_with(key) is not None
            return done or self._ledger.has(key)

    def done_with(self, entry: Entry) -> str | None:
        """The version of the model that this image was screened with before; None: it was not."""
        with self._changed:
            return self._ledger.done_with(entry.key)

    def keep(self, file: Path, image_uid: str, caller: str) -> None:
        """Takes over a file from `incoming`; on return it outlives a loss of power.

        Args:
            file: A DICOM file.
            image_uid: Its SOP Instance UID.
            caller: AE title of who sent it.

        Raises:
            OSError: There is no space, say; nothing is kept then.
            sqlite3.Error: The same, of the row.
        """
        key = key_of(image_uid)
        synchronise(file)
        kept = self._images / f"{key}.dcm"
        file.rename(kept)
        synchronise(self._images)
        with self._changed:
            if self._ledger.has(key):
                return  # it came on two connections at once
            try:
                self._ledger.add(key, image_uid, caller)
            except sqlite3.Error:
                kept.unlink(missing_ok=True)
                raise
            self._changed.notify_all()

    def claim(self, stage: Stage, seconds: float) -> Entry | None:
        """The next image at a stage that is due, for one thread alone; waits if there is none.

        Args:
            stage: What has been done with it.
            seconds: How long to wait at most.

        Returns:
            The image, to be given back by one of the methods below; None where there is none.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while (entry := self._due(stage)) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self._ending:
                    return None
                self._changed.wait(min(left, self._ledger.next_due(stage)))
            self._claimed.add(entry.key)
            return entry

    def end(self) -> None:
        """Has `claim` wait no more, as the gateway stops."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def screened(self, entry: Entry, model: str, results: dict[str, bytes]) -> None:
        """Keeps what was found, and moves the image on to be delivered.

        Args:
            entry: The image.
            model: Version of the model that judged it.
            results: The DICOM files by kind, such as "report", in the order to send them in.
        """
        for order, (kind, content) in enumerate(results.items()):
            with replacing(self._results / f"{entry.key}.{order}-{kind}.dcm") as file:
                file.write(content)
        synchronise(self._results)
        with self._giving_back(entry):
            self._ledger.screened(entry.key, model)

    def forget(self, entry: Entry, model: str) -> None:
        """Removes an image that is done with: delivered, or of no interest."""
        with self._giving_back(entry):
            self._ledger.done(entry.key, model, self._remember_seconds)
        for path in (*self.results(entry), self.image(entry)):
            path.unlink(missing_ok=True)

    def postpone(self, entry: Entry, seconds: float, counts: bool) -> None:
        """Gives an image back, to be tried again after some time.

        Args:
            entry: The image.
            seconds: How long to leave it alone.
            counts: Whether this was a failed try of the image's own.
        """
        with self._giving_back(entry):
            self._ledger.postpone(entry.key, seconds, counts)

    def give_up(self, entry: Entry, reason: str) -> None:
        """Puts an image on the list that a person sees."""
        with self._giving_back(entry):
            self._ledger.give_up(entry.key, reason)

    def failures(self) -> list[Entry]:
        """The images that were given up, the oldest first."""
        with self._changed:
            return self._ledger.failures()

    def retry(self, image_uid: str | None = None) -> int:
        """Takes an image off that list, or all where it is None, to be tried again; how many."""
        with self._changed:
            self._changed.notify_all()
            return self._ledger.retry(image_uid)

    def depth(self) -> dict[str, int]:
        """How many images there are at each stage, and failed."""
        with self._changed:
            return self._ledger.depth()

    def oldest_seconds(self) -> float:
        """How long the oldest image that is worked on has been here; 0 where there is none."""
        with self._changed:
            oldest = self._ledger.oldest()
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    @contextmanager
    def _giving_back(self, entry: Entry) -> Iterator[None]:
        with self._changed:
            try:
                yield
            finally:
                self._claimed.discard(entry.key)
                self._changed.notify_all()

    def _due(self, stage: Stage) -> Entry | None:
        entries = self._ledger.due(stage, len(self._claimed) + 1)
        return next((entry for entry in entries if entry.key not in self._claimed), None)
