"""What the C library keeps of freed memory, and how to have it give that back (glibc only)."""

import ctypes
import sys
from functools import cache
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 4 * 1024 * 1024
"""Bytes from which on a block of memory is the system's own again as soon as it is freed."""
_KEPT: Final = 16 * 1024 * 1024
"""Free bytes that a thread keeps for its next image."""


@cache
def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


def keep_small_blocks() -> None:
    """Has large blocks given back at once, and what ordinary images need kept. See mallopt(3).

    Left alone, glibc raises M_MMAP_THRESHOLD with every large block freed, and one image of 40
    megapixels leaves a heap full of holes behind. Told so much alone, it gives back every image's
    memory too, and the system has to clear the pages of the next one again.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def return_free_memory() -> None:
    """Gives free memory back: a swapped-out network's, say. See malloc_trim(3)."""
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
