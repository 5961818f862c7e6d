"""Folders or an archive of X-rays into arrays: found, decoded once, kept in a cache.

The layout is that of the Kaggle data set: `train`, `val` and `test`, each with `NORMAL` and
`PNEUMONIA`. `find_dataset` looks it up in a folder or a .zip, however deeply nested;
`load_split` decodes one of the three through `shared`, exactly as the service will.
"""

import contextlib
import hashlib
import inspect as source_of
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from shared import decoding, preprocessing
from shared.labels import LABELS
from trainer.errors import TrainerError
from trainer.patients import cause_of, patient_of

SPLITS = ("train", "val", "test")
_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}
_BROKEN_LIMIT = 0.2  # a class folder with a larger share of unreadable files is a broken download


class DatasetError(TrainerError):
    """The data cannot be used as it is; the message names the path and the remedy."""


@dataclass(frozen=True)
class Dataset:
    """Where the images of a data set lie.

    Attributes:
        path: The folder or the .zip.
        files: Split ("train", "val", "test"; "" where the classes lie at the top) to class to
            names, each relative to `path` and in a fixed order.
        root: The part of those names above the split: "" or e.g. "chest_xray/".
    """

    path: Path
    files: dict[str, dict[str, list[str]]]
    root: str = ""

    def names(self, split: str) -> list[tuple[str, int]]:
        """The files of one split with their label (0 normal, 1 pneumonia), in a fixed order."""
        return [(n, i) for i, c in enumerate(LABELS) for n in self.files[split].get(c, [])]


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


def find_dataset(path: Path) -> Dataset:
    """Find the split and class folders in a folder or a .zip.

    The Kaggle archive holds the same images up to three times (`chest_xray/chest_xray`,
    `__MACOSX`); the uppermost place that has a class folder counts, litter never does.

    Args:
        path: A folder, or a .zip as Kaggle serves it (read in place, never unpacked).

    Raises:
        DatasetError: Nothing there, not readable, or no class folder anywhere.
    """
    path = Path(path)
    listing = _list_zip(path) if path.is_file() else _list_folder(path)
    roots: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name in listing:
        parts = PurePosixPath(name).parts
        if len(parts) < 2 or parts[-2] not in LABELS:
            continue
        nested = len(parts) > 2 and parts[-3] in SPLITS
        split = parts[-3] if nested else ""
        root = "/".join(parts[: -3 if nested else -2])
        roots.setdefault(root, {}).setdefault(split, {}).setdefault(parts[-2], []).append(name)
    if not roots:
        seen = sorted({PurePosixPath(n).parts[0] for n in listing})
        raise DatasetError(
            f"{path} holds no X-rays in the expected layout: found "
            f"{', '.join(seen[:6]) if seen else 'nothing'}; expected the folders train and test, "
            f"each with {' and '.join(LABELS)} (images inside). Give the folder that holds them, "
            "or the .zip from Kaggle; `python -m trainer download` fetches it."
        )
    root = min(roots, key=lambda r: (len(PurePosixPath(r).parts), r))
    files = {
        split: {c: sorted(names) for c, names in sorted(classes.items())}
        for split, classes in roots[root].items()
    }
    return Dataset(path, files, f"{root}/" if root else "")


def check_split(dataset: Dataset, split: str) -> None:
    """Check that one split has images of both classes.

    Raises:
        DatasetError: The split or one of its class folders is missing or empty.
    """
    where = f"{dataset.path}/{dataset.root}{split}".rstrip("/")
    if split not in dataset.files:
        found = ", ".join(sorted(s for s in dataset.files if s)) or "no split folder"
        raise DatasetError(
            f"{where} is missing or empty: found {found}. Expected {split}/{LABELS[0]} and "
            f"{split}/{LABELS[1]} with images inside; add them, or check the --data path."
        )
    for label in LABELS:
        if not dataset.files[split].get(label):
            raise DatasetError(
                f"{where}/{label} is missing or empty. Training and evaluation need images of "
                f"both classes, {' and '.join(LABELS)}: put X-rays of this class there."
            )


def load_split(
    dataset: Dataset,
    split: str,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    limit: int | None = None,
) -> tuple[Split, list[Broken]]:
    """Decode one split, or read what an earlier call decoded.

    The cache is keyed by the names, sizes and times of the files and by the source of
    `shared.decoding` and `shared.preprocessing`: it never outlives a change of either.

    Args:
        dataset: From `find_dataset`.
        split: "train", "val", "test", or "" where the classes lie at the top.
        cache: The folder of the cache, made if absent; None: no cache.
        progress: Called with (images done, images in all), also at the end.
        limit: Use at most so many images of each class, spread evenly (for a quick try).

    Returns:
        The split, and the files that were skipped because they are no readable image.

    Raises:
        DatasetError: A class is missing or empty, most of it unreadable, or the cache cannot be
            written.
    """
    check_split(dataset, split)
    names = _limited(dataset.names(split), limit)
    stored = cache / f"{split or 'images'}-{_key(dataset, names)}.npz" if cache else None
    if stored is not None and stored.is_file():
        found = _read_cache(stored)
        if found is not None:
            if progress:
                progress(len(names), len(names))
            return found
    loaded = _decode(dataset, split, names, progress)
    if stored is not None:
        _write_cache(stored, *loaded)
    return loaded


def _limited(names: list[tuple[str, int]], limit: int | None) -> list[tuple[str, int]]:
    if limit is None:
        return names
    chosen: list[tuple[str, int]] = []
    for label in range(len(LABELS)):
        of_class = [n for n in names if n[1] == label]
        spread = np.unique(np.linspace(0, len(of_class) - 1, min(limit, len(of_class))).astype(int))
        chosen += [of_class[i] for i in spread]
    return chosen


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].lower() in _LITTER or parts[-1].startswith("._")


def _list_folder(path: Path) -> list[str]:
    if not path.is_dir():
        raise DatasetError(
            f"{path} does not exist. Give the folder that holds train and test, or the .zip from "
            "Kaggle, with --data; `python -m trainer download` fetches it."
        )
    found = []
    for folder, _, names in os.walk(path):
        inside = Path(folder).relative_to(path)
        found += [(inside / n).as_posix() for n in names]
    return sorted(n for n in found if not _is_litter(n))


def _list_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(
                n for n in archive.namelist() if not n.endswith("/") and not _is_litter(n)
            )
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(
            f"{path} is not a readable .zip ({error}). Download it again, or give the unpacked "
            "folder."
        ) from error


def _key(dataset: Dataset, names: Sequence[tuple[str, int]]) -> str:
    digest = hashlib.sha256()
    for module in (decoding, preprocessing):
        digest.update(source_of.getsource(module).encode())
    digest.update(str(dataset.path.resolve()).encode())
    if dataset.path.is_file():
        with zipfile.ZipFile(dataset.path) as archive:
            for name, label in names:
                info = archive.getinfo(name)
                digest.update(f"{name}|{label}|{info.file_size}|{info.CRC}\n".encode())
    else:
        for name, label in names:
            stat = (dataset.path / name).stat()
            digest.update(f"{name}|{label}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _decode(
    dataset: Dataset,
    split: str,
    names: Sequence[tuple[str, int]],
    progress: Callable[[int, int], None] | None,
) -> tuple[Split, list[Broken]]:
    images = np.empty((len(names), preprocessing.INPUT_SIZE, preprocessing.INPUT_SIZE), np.uint8)
    sizes = np.zeros((len(names), 2), np.int32)
    archive = zipfile.ZipFile(dataset.path) if dataset.path.is_file() else None

    def one(index: int) -> str | None:
        name = names[index][0]
        try:
            data = archive.read(name) if archive else (dataset.path / name).read_bytes()
            header = decoding.inspect(data)
            images[index] = preprocessing.resize(decoding.decode(data))
        except (decoding.ImageRefused, OSError, zipfile.BadZipFile) as error:
            return str(error) or type(error).__name__
        sizes[index] = header.height, header.width
        return None

    broken: list[Broken] = []
    kept: list[int] = []
    try:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for index, reason in enumerate(pool.map(one, range(len(names)))):
                if reason is None:
                    kept.append(index)
                else:
                    broken.append(Broken(names[index][0].removeprefix(dataset.root), reason))
                if progress:
                    progress(index + 1, len(names))
    finally:
        if archive:
            archive.close()
    labels = np.array([names[i][1] for i in kept], np.int64)
    for index, label in enumerate(LABELS):
        total = sum(1 for _, of in names if of == index)
        lost = total - int((labels == index).sum())
        if lost > _BROKEN_LIMIT * total:
            first = next(b for b in broken if PurePosixPath(b.path).parts[-2] == label)
            raise DatasetError(
                f"{dataset.path}/{dataset.root}{split}/{label}: {lost} of {total} files are not "
                f"readable images, the first being {first.path} ({first.reason}). Get the data "
                "again, or remove those files."
            )
    paths = [names[i][0].removeprefix(dataset.root) for i in kept]
    return Split(
        images=images if len(kept) == len(names) else images[kept],
        labels=labels,
        causes=np.array(
            [cause_of(p) if of else -1 for p, of in zip(paths, labels, strict=True)], np.int64
        ),
        patients=[patient_of(p) for p in paths],
        paths=paths,
        sizes=sizes[kept],
    ), broken


def _write_cache(stored: Path, split: Split, broken: list[Broken]) -> None:
    partial = stored.with_suffix(f".{os.getpid()}.partial")
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(
                file,
                images=split.images,
                labels=split.labels,
                causes=split.causes,
                patients=np.array(split.patients, dtype=np.str_),
                paths=np.array(split.paths, dtype=np.str_),
                sizes=split.sizes,
                broken=np.array([(b.path, b.reason) for b in broken], np.str_).reshape(-1, 2),
            )
        partial.replace(stored)
    except OSError as error:
        raise DatasetError(
            f"The decoded images cannot be kept in {stored.parent} ({error.strerror or error}; "
            f"{split.images.nbytes / 1e6:.0f} MB needed). Free some space, or name another folder "
            "with --cache."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _read_cache(stored: Path) -> tuple[Split, list[Broken]] | None:
    try:
        with stored.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            split = Split(
                images=kept["images"],
                labels=kept["labels"],
                causes=kept["causes"],
                patients=kept["patients"].tolist(),
                paths=kept["paths"].tolist(),
                sizes=kept["sizes"],
            )
            return split, [Broken(path, reason) for path, reason in kept["broken"].tolist()]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # damaged: decode again and replace it
