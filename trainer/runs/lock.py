"""One process at a time: a lock that the system lets go with its holder, however that ends."""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

from trainer.errors import TrainerError


class Held(Exception):
    """Another process holds the lock; the message says which."""


def take_lock(path: Path, wait: bool = False) -> IO[str]:
    """Lock a file, flock(2), and note in it who holds it.

    Args:
        path: The file, made if missing; it stays.
        wait: Whether to wait for another process to let it go.

    Returns:
        The open file: closing it lets the lock go, as does the end of the process.

    Raises:
        Held: Another process, or another call in this one, holds it.
        TrainerError: The file system knows no locks.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    except BlockingIOError:
        file.seek(0)
        holder = file.read()
        file.close()
        raise Held(holder or "another process") from None
    except OSError as error:
        file.close()
        raise TrainerError(
            f"{path} cannot be locked: {error.strerror or error}. Name a folder on a file system "
            "with locks (flock), which keep two processes from doing the same work."
        ) from error
    except BaseException:  # stopped while it waited
        file.close()
        raise
    return file
