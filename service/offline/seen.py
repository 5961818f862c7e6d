"""Which files there are rows about: 8 bytes a file, so that millions fit in a small container."""

import os
from collections.abc import Iterable
from typing import Final

import numpy as np

_LOOSE: Final = 1 << 16
"""How many new ones may be kept loose before they are sorted in among the others."""


class SeenPaths:
    """A set of paths; the same path however it is spelt, `images/a.png` or `./b/../images/a.png`.

    Kept are hashes of 64 bits: among five million files, the chance that two share one, and one of
    them is left out, is less than one in a million.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        """Takes up the paths that there are."""
        self._folder = os.getcwd()  # noqa: PTH109 - joined as text, five million times
        self._sorted = np.fromiter(map(self._key, paths), np.int64)
        self._sorted.sort()
        self._loose: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._loose)

    def add(self, path: str) -> bool:
        """Adds a path; false where it is there already."""
        key = self._key(path)
        place = int(np.searchsorted(self._sorted, key))
        if key in self._loose or (place < len(self._sorted) and self._sorted[place] == key):
            return False
        self._loose.add(key)
        if len(self._loose) == _LOOSE:
            new = np.sort(np.fromiter(self._loose, np.int64))
            self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, new), new)
            self._loose.clear()
        return True

    def _key(self, path: str) -> int:
        whole = path if path.startswith("/") else f"{self._folder}/{path}"
        if "/." in whole or "//" in whole or os.sep != "/":  # most are plain; this takes long
            whole = os.path.abspath(path)  # noqa: PTH100
        return hash(whole)
