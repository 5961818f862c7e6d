"""Files that are there whole or not at all, whatever ends the program that writes them."""

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
    is removed.

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
