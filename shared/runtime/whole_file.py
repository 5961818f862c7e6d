"""Files that are there whole or not at all, whatever ends the program or the power."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which is synced and takes the place of `path` at the end of the block.

    Until then it lies beside it under a name that no other process has; where the block fails, it
    is removed. The new name outlives a loss of power once its folder is synchronised.

    Raises:
        OSError: It cannot be written, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def synchronise(path: Path) -> None:
    """Has the disk keep what was written to a file, or the names in a folder.

    Raises:
        OSError: The disk does not confirm it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
