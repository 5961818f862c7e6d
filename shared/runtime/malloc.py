"""What the C library keeps of freed memory, and how to have it give that back (glibc only)."""

import ctypes
import sys
from functools import cache
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE: Final = 4 * 1024 * 1024
"""Bytes from which on a block of memory is the system's own again as soon as it is freed."""
_KEPT: Final = 32 * 1024 * 1024
"""Free bytes that the workers keep for their next images, all together..."""
_KEPT_BY_ONE: Final = (4 * 1024 * 1024, 16 * 1024 * 1024)
"""... and each of them, at least and at most: a threshold counts for a thread."""


@cache
def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


def keep_small_blocks(workers: int) -> None:
    """Has large blocks given back at once, and what ordinary images need kept. See mallopt(3).

    Left alone, glibc raises M_MMAP_THRESHOLD with every large block freed, and one image of 40
    megapixels leaves a heap full of holes behind. Told so much alone, it gives back every image's
    memory too, and the system has to clear the pages of the next one again.

    Args:
        workers: How many threads decode images.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        least, most = _KEPT_BY_ONE
        libc.mallopt(_M_TRIM_THRESHOLD, min(max(_KEPT // workers, least), most))


def share_arenas(count: int) -> None:
    """Has many threads share so many heaps; each keeps some free memory. See mallopt(3).

    Args:
        count: How many, all together. Threads that allocate at the same time wait for each other.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(_M_ARENA_MAX, count)


def return_free_memory() -> None:
    """Gives free memory back: a swapped-out network's, say. See malloc_trim(3)."""
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
