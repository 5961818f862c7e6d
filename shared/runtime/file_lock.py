"""One process at a time: a lock that the system lets go with its holder, however that ends."""

import contextlib
import os
import socket
import sys
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Self


class Held(Exception):
    """Another process holds the lock; the message says which, and since when."""


class LocksUnsupported(OSError):
    """The file system knows no locks; the message says what to do."""

    def __str__(self) -> str:
        return (
            f"{self.filename} cannot be locked: {self.strerror}. Name a folder on a file system "
            "with locks (flock), which keep two processes from doing the same work."
        )


class FileLock:
    """A file that one holder has to itself, flock(2), from its making to `close`.

    The file says who holds it. It is gone afterwards; one that a killed process left is locked by
    nobody. On Windows, which has no flock, nothing is locked.
    """

    def __init__(self, path: Path, wait: bool = False) -> None:
        """Take it.

        Args:
            path: The file, made if missing; its folder must be there.
            wait: Whether to wait for another process to let it go.

        Raises:
            Held: Another process, or another lock in this one, holds it.
            LocksUnsupported: The file system knows no locks.
            OSError: The file cannot be written.
        """
        self._path = path
        if sys.platform == "win32":
            return
        self._file = _taken(path, wait)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {since}"
        with contextlib.suppress(OSError):  # on a full disk it is locked all the same
            self._file.truncate(0)
            self._file.write(holder.encode())

    def close(self) -> None:
        """Let it go; once more does nothing."""
        if sys.platform != "win32" and not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _taken(path: Path, wait: bool) -> FileIO:
    """The lock file, open and locked."""
    import fcntl  # not on Windows

    while True:
        file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError:
            file.seek(0)
            holder = file.read(4096).decode(errors="replace")
            file.close()
            raise Held(holder or "another process") from None  # which has just begun
        except FileNotFoundError:  # its holder ended in between
            pass
        except OSError as error:
            file.close()
            raise LocksUnsupported(error.errno, error.strerror, str(path)) from error
        except BaseException:  # stopped while it waited
            file.close()
            raise
        file.close()
