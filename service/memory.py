"""What the C library keeps of freed memory, and how to give it back (glibc only)."""

import ctypes
import sys
from functools import cache

_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8


@cache
def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


def return_free_memory() -> None:
    """Gives free memory back to the system: a swapped-out network's, say. See malloc_trim(3)."""
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
