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


def files_of(paths: Iterable[Path], out: Path) -> Iterator[str]:
    """Every regular file in the paths but hidden ones, and but the results.

    Args:
        paths: Files and folders. A folder that cannot be looked into stands for what is in it.
            Links to folders are not followed.
        out: Where the results are, a file or a folder.
    """
    own = out.resolve()
    for path in paths:
        for file in _below(str(path), own) if path.is_dir() else [str(path)]:
            if not file.endswith(own.name) or Path(file).resolve() != own:
                yield file


def _below(folder: str, own: Path) -> Iterator[str]:
    """The files below a folder; as texts, which take a third of the time of paths."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    prefix = "" if folder == os.curdir else folder.rstrip(os.sep) + os.sep
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
            continue
        if entry.is_dir(follow_symlinks=False):  # a link could lead back here
            inner = prefix + entry.name
            if entry.name != own.name or Path(inner).resolve() != own:
                yield from _below(inner, own)
        elif _is_file(entry):
            yield prefix + entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # reading it will tell why
        return True
