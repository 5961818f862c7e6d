"""One run at a time for a file of results: a lock that the system lets go with its holder."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class Locked(Exception):
    """Another run holds the lock; the message says who."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file for the length of a block: flock(2) on a file beside it.

    The file beside it says who holds the lock. It is gone afterwards; one that a killed run left is
    locked by nobody. On Windows, which has no flock, nothing is locked.

    Args:
        path: What is locked; it need not exist, its folder must.

    Raises:
        Locked: Another run holds it.
        OSError: The file beside it cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    beside = path.with_name(f".{path.name}.lock")
    descriptor = _take(beside)
    try:
        facts = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        yield
    finally:
        beside.unlink(missing_ok=True)
        os.close(descriptor)


def _take(beside: Path) -> int:
    """The descriptor of the lock file, locked."""
    import fcntl  # not on Windows

    while True:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), beside.stat()):
                return descriptor
        except BlockingIOError:
            holder = _holder(os.pread(descriptor, 4096, 0))
            os.close(descriptor)
            raise Locked(holder) from None
        except FileNotFoundError:  # its holder ended in between
            pass
        os.close(descriptor)


def _holder(content: bytes) -> str:
    try:
        facts = json.loads(content)
        return f"process {facts['pid']} on {facts['host']}, since {facts['since']}"
    except (ValueError, KeyError, TypeError):  # it has just begun
        return "another process"
