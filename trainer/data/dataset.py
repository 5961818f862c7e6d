"""What a data set is, and where it lies in a folder or an archive.

The layout is that of the Kaggle data set: `train`, `val` and `test`, each with `NORMAL` and
`PNEUMONIA`, in capitals or not. `find_dataset` looks it up in a folder or a .zip, however deeply
nested; `trainer.data.loading` decodes one of the three.
"""

import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from shared.labels import LABELS
from trainer.errors import TrainerError

SPLITS = ("train", "val", "test")
STRATA = ("normal", "bacterial", "viral", "unknown")  # pneumonia of unknown cause
# What `zipfile` raises for what is damaged, encrypted or compressed in a way that it does not know.
ZIP_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, RuntimeError, ValueError),
)
_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Dataset:
    """Where the images of a data set lie.

    Attributes:
        path: The folder or the .zip.
        files: Split ("train", "val", "test"; "" where the classes lie at the top) to class to
            names, each relative to `path`, with slashes and in a fixed order.
        root: The part of those names above the split: "" or e.g. "chest_xray/".
        members: What a .zip calls a file, where that differs from its name in `files`.
    """

    path: Path
    files: dict[str, dict[str, list[str]]]
    root: str = ""
    members: dict[str, str] = field(default_factory=dict)

    def names(self, split: str) -> list[tuple[str, int]]:
        """The files of one split with their label (0 normal, 1 pneumonia), in a fixed order."""
        return [(n, i) for i, c in enumerate(LABELS) for n in self.files[split].get(c, [])]

    def stamps(self, names: Sequence[tuple[str, int]]) -> list[tuple[int, int]]:
        """The size of each of these files in bytes, and what changes with its content: its checksum
        in a .zip, its time in a folder."""
        if self.path.is_file():
            with zipfile.ZipFile(self.path) as archive:
                infos = [archive.getinfo(self.members.get(name, name)) for name, _ in names]
            return [(info.file_size, info.CRC) for info in infos]
        files = [self.path / name for name, _ in names]
        stats = [file.stat(follow_symlinks=file.exists()) for file in files]  # links to nowhere too
        return [(stat.st_size, stat.st_mtime_ns) for stat in stats]

    def listing(self, split: str) -> str:
        """SHA-256 over names, labels and sizes of the files of one split: what tells most data sets
        apart without reading an image, wherever they lie."""
        names = self.names(split)
        rows = [
            f"{name.removeprefix(self.root)}\t{label}\t{size}"
            for (name, label), (size, _) in zip(names, self.stamps(names), strict=True)
        ]
        return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Broken:
    """A file that was skipped, by its path inside the data set, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Split:
    """Images in memory, one entry of each sequence per image.

    Attributes:
        images: (N, 224, 224) uint8, grey, as `shared.preprocessing.resize` returns them.
        labels: (N,) int64, 0 normal, 1 pneumonia.
        causes: (N,) int64, 0 bacterial, 1 viral, -1 unknown or normal.
        patients: Who the image is of; equal text, same patient.
        paths: The path inside the data set, for people to look the image up.
        sizes: (N, 2) int32, height and width of the original in pixels; (0, 2) if unknown.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    causes: NDArray[np.int64]
    patients: list[str]
    paths: list[str]
    sizes: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Iterable[int] | NDArray[np.int64]) -> "Split":
        """The images at these positions, in this order."""
        chosen = np.asarray(list(indices), dtype=np.int64)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            causes=self.causes[chosen],
            patients=[self.patients[i] for i in chosen],
            paths=[self.paths[i] for i in chosen],
            sizes=self.sizes[chosen] if len(self.sizes) else self.sizes,
        )

    def digests(self) -> list[str]:
        """SHA-256 of each image's pixels: equal for exact copies, whatever their names."""
        return [hashlib.sha256(image.tobytes()).hexdigest() for image in self.images]

    def strata(self) -> NDArray[np.int64]:
        """(N,) 0 normal, 1 bacterial, 2 viral, 3 pneumonia of unknown cause."""
        cause = np.where(self.causes == -1, 3, self.causes + 1)
        return np.where(self.labels == 0, 0, cause).astype(np.int64)


def strata_counts(strata: NDArray[np.int64]) -> dict[str, int]:
    """How many of the images that have these `Split.strata` are of each."""
    return {name: int((strata == index).sum()) for index, name in enumerate(STRATA)}


def find_dataset(path: Path) -> Dataset:
    """Find the split and class folders in a folder or a .zip.

    The Kaggle archive holds the same images up to three times (`chest_xray/chest_xray`,
    `__MACOSX`); the uppermost place that has a class folder counts, litter never does.

    Args:
        path: A folder, or a .zip as Kaggle serves it (read in place, never unpacked).

    Raises:
        TrainerError: Nothing there, not readable, or no class folder anywhere.
    """
    path = Path(path)
    members = _list_zip(path) if path.is_file() else dict.fromkeys(_list_folder(path), "")
    roots: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name in sorted(members):
        parts = PurePosixPath(name).parts
        label = parts[-2].upper() if len(parts) > 1 else ""
        if label not in LABELS:
            continue
        nested = len(parts) > 2 and parts[-3].lower() in SPLITS
        split = parts[-3].lower() if nested else ""
        root = "/".join(parts[: -3 if nested else -2])
        roots.setdefault(root, {}).setdefault(split, {}).setdefault(label, []).append(name)
    if not roots:
        raise TrainerError(_not_the_layout(path, list(members)))
    root = min(roots, key=lambda r: (len(PurePosixPath(r).parts), r))
    files = {split: dict(sorted(classes.items())) for split, classes in roots[root].items()}
    renamed = {name: member for name, member in members.items() if member not in ("", name)}
    return Dataset(path, files, f"{root}/" if root else "", renamed)


def _not_the_layout(path: Path, names: list[str]) -> str:
    archives = sorted(n for n in names if n.lower().endswith(".zip"))
    if archives:
        inner = f"Take it out: --data {archives[0]}"
        if path.is_dir():
            inner = f"Give that one: --data {path / archives[0]}"
        return (
            f"{path} holds no X-rays, but another archive, {archives[0]}, which is not looked "
            f"into. {inner}"
        )
    seen = sorted({PurePosixPath(n).parts[0] for n in names})
    return (
        f"{path} holds no X-rays in the expected layout: found "
        f"{', '.join(seen[:6]) if seen else 'nothing'}; expected the folders train and test, "
        f"each with {' and '.join(LABELS)} (images inside). Give the folder that holds them, "
        "or the .zip from Kaggle; `python -m trainer download` fetches it."
    )


def check_split(dataset: Dataset, split: str) -> None:
    """Check that one split has images of both classes.

    Raises:
        TrainerError: The split or one of its class folders is missing or empty.
    """
    where = f"{dataset.path}/{dataset.root}{split}".rstrip("/")
    if split not in dataset.files and list(dataset.files) == [""]:
        top = f"{dataset.path}/{dataset.root}".rstrip("/")
        raise TrainerError(
            f"{top} has {' and '.join(dataset.files[''])} at its top, and no {split}. To train, "
            f"make a folder with train/{LABELS[0]} and train/{LABELS[1]} of them, and put some "
            f"patients, of whom train holds no image, into test/{LABELS[0]} and "
            f"test/{LABELS[1]}. To measure a bundle on all of them, leave them as they are: "
            f"python -m trainer evaluate --data {top}"
        )
    if split not in dataset.files:
        found = ", ".join(sorted(s for s in dataset.files if s)) or "no split folder"
        raise TrainerError(
            f"{where} is missing or empty: found {found}. Expected {split}/{LABELS[0]} and "
            f"{split}/{LABELS[1]} with images inside; add them, or check the --data path."
        )
    for label in LABELS:
        if not dataset.files[split].get(label):
            raise TrainerError(
                f"{where}/{label} is missing or empty. Training and evaluation need images of "
                f"both classes, {' and '.join(LABELS)}: put X-rays of this class there."
            )


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        not parts
        or "__MACOSX" in parts
        or parts[-1].lower() in _LITTER
        or parts[-1].startswith("._")
    )


def _list_folder(path: Path) -> list[str]:
    if not path.is_dir():
        raise TrainerError(
            f"{path} does not exist. Give the folder that holds train and test, or the .zip from "
            "Kaggle, with --data; `python -m trainer download` fetches it."
        )
    return sorted(name for name in _walk(path) if not _is_litter(name))


def _walk(top: Path) -> Iterator[str]:
    """Every file below a folder, through links too, the uppermost first.

    A folder that several links lead to is listed once as each of the splits, so that links that
    lead back up come to an end.
    """
    seen: set[tuple[str, str]] = set()
    folders = [PurePosixPath()]
    for inside in folders:  # grows on the way
        role = next((p for p in reversed(inside.parts) if p.lower() in SPLITS), "")
        here = (os.path.realpath(top / inside), role)
        if here in seen:
            continue
        seen.add(here)
        try:
            entries = sorted(os.scandir(top / inside), key=lambda entry: entry.name)
        except OSError as error:
            if not inside.parts:
                raise TrainerError(f"{top} cannot be read: {error.strerror}.") from error
            continue
        for entry in entries:
            if entry.is_dir():
                folders.append(inside / entry.name)
            elif entry.is_file() or entry.is_symlink():
                yield (inside / entry.name).as_posix()


def _list_zip(path: Path) -> dict[str, str]:
    """The files of a .zip: their names with slashes, and as the archive has them."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [n for n in archive.namelist() if not n.endswith(("/", "\\"))]
    except (*ZIP_DAMAGE, OSError) as error:
        raise TrainerError(
            f"{path} is not a readable .zip ({error}). Download it again, or give the unpacked "
            "folder."
        ) from error
    # Windows PowerShell 5 separates folders by backslashes.
    named = {PurePosixPath(m.replace("\\", "/").lstrip("/")).as_posix(): m for m in members}
    return {name: member for name, member in named.items() if not _is_litter(name)}
