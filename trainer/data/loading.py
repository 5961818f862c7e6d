"""Images of a split as arrays: decoded once through `shared`, as the service will, then cached."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from shared import imaging, preprocessing
from shared.imaging import decode
from shared.imaging.refusal import ImageRefused
from shared.labels import LABELS
from shared.runtime.whole_file import replacing
from trainer.console import bar
from trainer.data.dataset import ZIP_DAMAGE, Broken, Dataset, Split, check_split
from trainer.data.patients import UNKNOWN_CAUSE, cause_of, patient_of
from trainer.errors import TrainerError

_BROKEN_LIMIT = 0.2  # a class folder with a larger share of unreadable files is a broken download


def load_split(
    dataset: Dataset,
    split: str,
    cache: Path | None = None,
    limit: int = 0,
) -> tuple[Split, list[Broken]]:
    """Decode one split, with a bar, or read what an earlier call decoded.

    The cache is keyed by the names, sizes and times of the files, by the source of all that decodes
    and prepares them, and by the version of Pillow: it never outlives a change of one.

    Args:
        dataset: From `find_dataset`.
        split: "train", "val", "test", or "" where the classes lie at the top.
        cache: The folder of the cache, made if absent; None: no cache.
        limit: Use at most so many images of each class, spread evenly (for a quick try); 0: all.

    Returns:
        The split, and the files that were skipped because they are no readable image.

    Raises:
        TrainerError: A class is missing or empty, most of it unreadable, or the cache cannot be
            written.
    """
    check_split(dataset, split)
    names = _limited(dataset.names(split), limit)
    stored = cache / f"{split or 'images'}-{_key(dataset, names)}.npz" if cache else None
    if stored is not None and (kept := _read_cache(stored)) is not None:
        return kept
    loaded = _decode(dataset, split, names)
    if stored is not None:
        _write_cache(stored, *loaded)
    return loaded


def _limited(names: list[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    if not limit:
        return names
    chosen: list[tuple[str, int]] = []
    for label in range(len(LABELS)):
        of_class = [n for n in names if n[1] == label]
        spread = np.unique(np.linspace(0, len(of_class) - 1, min(limit, len(of_class))).astype(int))
        chosen += [of_class[i] for i in spread]
    return chosen


def decoding_version(room: Path = Path(imaging.__file__).parent) -> str:
    """What tells two ways to decode apart: the source of all of it, and its libraries' versions.

    Args:
        room: The folder of all modules that decide what is refused and how pixels come out.

    Returns:
        A SHA-256 digest in hexadecimal; the same as long as none of them changes.
    """
    libraries = [PIL.__version__, metadata.version("pydicom"), metadata.version("imagecodecs")]
    digest = hashlib.sha256(" ".join(libraries).encode())
    for source in (*sorted(room.rglob("*.py")), Path(preprocessing.__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _key(dataset: Dataset, names: Sequence[tuple[str, int]]) -> str:
    digest = hashlib.sha256()
    digest.update(decoding_version().encode())
    digest.update(str(dataset.path.resolve()).encode())
    for (name, label), (size, stamp) in zip(names, dataset.stamps(names), strict=True):
        digest.update(f"{name}|{label}|{size}|{stamp}\n".encode())
    return digest.hexdigest()[:16]


def _decode(
    dataset: Dataset, split: str, names: Sequence[tuple[str, int]]
) -> tuple[Split, list[Broken]]:
    images = np.empty((len(names), preprocessing.INPUT_SIZE, preprocessing.INPUT_SIZE), np.uint8)
    sizes = np.zeros((len(names), 2), np.int32)
    archive = zipfile.ZipFile(dataset.path) if dataset.path.is_file() else None

    def decode_one(index: int) -> str:
        """Why it could not be decoded; empty where it was."""
        name = names[index][0]
        try:
            image = decode.open_image(_read(dataset, archive, name))
            images[index] = preprocessing.resize(image.decode())
        except (ImageRefused, OSError) as error:
            return str(error) or type(error).__name__
        sizes[index] = image.height, image.width
        return ""

    labels = np.array([label for _, label in names], np.int64)
    paths = [name.removeprefix(dataset.root) for name, _ in names]
    broken: dict[int, Broken] = {}
    with (
        archive or contextlib.nullcontext(),
        bar(f"Reading {split or dataset.path.name}") as progress,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
    ):
        for index, reason in enumerate(pool.map(decode_one, range(len(names)))):
            if reason:
                broken[index] = Broken(paths[index], reason)
            progress(index + 1, len(names))
    for index, label in enumerate(LABELS):
        total = int((labels == index).sum())
        lost = [file for i, file in broken.items() if labels[i] == index]
        if len(lost) > _BROKEN_LIMIT * total:
            raise TrainerError(
                f"{dataset.path}/{dataset.root}{split}/{label}: {len(lost)} of {total} files are "
                f"not readable images, the first being {lost[0].path} ({lost[0].reason}). Get the "
                "data again, or remove those files."
            )
    if not broken:
        return _split(images, labels, paths, sizes), []
    kept = [index for index in range(len(names)) if index not in broken]
    read = _split(images[kept], labels[kept], [paths[i] for i in kept], sizes[kept])
    return read, list(broken.values())


def _read(dataset: Dataset, archive: zipfile.ZipFile | None, name: str) -> bytes:
    if archive is None:
        return (dataset.path / name).read_bytes()
    try:
        return archive.read(dataset.members.get(name, name))
    except ZIP_DAMAGE as error:
        raise OSError(str(error) or type(error).__name__) from error


def _split(
    images: NDArray[np.uint8], labels: NDArray[np.int64], paths: list[str], sizes: NDArray[np.int32]
) -> Split:
    """Images with what their names tell."""
    causes = [cause_of(p) if of else UNKNOWN_CAUSE for p, of in zip(paths, labels, strict=True)]
    return Split(
        images=images,
        labels=labels,
        causes=np.array(causes, np.int64),
        patients=[patient_of(p) for p in paths],
        paths=paths,
        sizes=sizes,
    )


def _write_cache(stored: Path, split: Split, broken: list[Broken]) -> None:
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        with replacing(stored) as file:
            np.savez(
                file,
                images=split.images,
                labels=split.labels,
                paths=np.array(split.paths, dtype=np.str_),
                sizes=split.sizes,
                broken=np.array([(b.path, b.reason) for b in broken], np.str_).reshape(-1, 2),
            )
    except OSError as error:
        raise TrainerError(
            f"The decoded images cannot be kept in {stored.parent} ({error.strerror or error}; "
            f"{split.images.nbytes / 1e6:.0f} MB needed). Free some space, or name another folder: "
            "--work of fit, --out of a study."
        ) from error


def _read_cache(stored: Path) -> tuple[Split, list[Broken]] | None:
    try:
        with stored.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            # Whose an image is and of what cause is read from its name each time, not kept.
            split = _split(kept["images"], kept["labels"], kept["paths"].tolist(), kept["sizes"])
            return split, [Broken(path, reason) for path, reason in kept["broken"].tolist()]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # not there, or damaged: decode again and replace it
