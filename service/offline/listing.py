"""Which files of this machine's folders are screened, in an order that never changes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SKIPPED_FOLDERS: Final = frozenset({"__MACOSX"})
"""Folders that hold what a system keeps beside the files."""


def exists(path: Path) -> bool:
    """Whether there is such a file or folder, and it may be seen."""
    try:
        return path.exists()
    except OSError:
        return False


def files_of(paths: Iterable[Path], out: Path) -> Iterator[Path]:
    """Every regular file in the paths but hidden ones, and but the results.

    Args:
        paths: Files and folders. A folder that cannot be looked into stands for what is in it.
            Links to folders are not followed.
        out: Where the results are, a file or a folder.
    """
    own = out.resolve()
    for path in paths:
        for file in _below(path, own) if path.is_dir() else [path]:
            if file.name != own.name or file.resolve() != own:
                yield file


def _below(folder: Path, own: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
            continue
        if entry.is_dir(follow_symlinks=False):  # a link could lead back here
            inner = folder / entry.name
            if entry.name != own.name or inner.resolve() != own:
                yield from _below(inner, own)
        elif _is_file(entry):
            yield folder / entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # reading it will tell why
        return True
