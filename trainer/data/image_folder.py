"""Pictures from any folder, without classes: to see which are refused as no chest X-ray, or to
learn what must not be judged."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared import preprocessing
from shared.imaging import decode
from shared.imaging.refusal import ImageRefused
from trainer.errors import TrainerError

_FEWEST = 20  # X-rays from which to learn whom the network does not know


def list_files(folder: Path) -> list[Path]:
    """Every file below a folder, in order.

    Raises:
        TrainerError: No folder, or no file in it.
    """
    if not folder.is_dir():
        raise TrainerError(f"{folder} is not a folder. Give one that holds pictures.")
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    if not found:
        raise TrainerError(f"{folder} holds no file. Give a folder that holds pictures.")
    return found


def load_pictures(folder: Path) -> tuple[NDArray[np.uint8], int]:
    """Decode every picture below a folder, as the service would.

    Args:
        folder: Any folder; what is refused before the network sees it is left out.

    Returns:
        (N, 224, 224) uint8, and how many files could not be read as a picture.

    Raises:
        TrainerError: No folder, or no picture in it.
    """
    images, unread = [], 0
    for path in list_files(folder):
        try:
            images.append(preprocessing.resize(decode.decode(path.read_bytes())))
        except (ImageRefused, OSError):
            unread += 1
    if not images:
        raise TrainerError(f"{folder} holds no readable picture ({unread} files were tried).")
    return np.stack(images), unread


def load_unlike(folder: Path) -> NDArray[np.uint8]:
    """Chest X-rays that the network must not judge.

    Args:
        folder: Any folder; unreadable files are left out.

    Returns:
        (N, 224, 224) uint8, at least 20.

    Raises:
        TrainerError: No folder, or too few X-rays in it.
    """
    try:
        images, unread = load_pictures(folder)
    except TrainerError as error:
        raise TrainerError(f"--unlike: {error}") from error
    if len(images) < _FEWEST:
        raise TrainerError(
            f"--unlike: {folder} holds {len(images)} readable pictures"
            f"{f' and {unread} others' if unread else ''}; at least {_FEWEST} are needed to learn "
            "from, better some hundreds. Add more, or leave --unlike out."
        )
    return images
