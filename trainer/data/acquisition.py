"""Which images share a machine or a console, and whether the class can be told from that alone.

Where all images of one machine are ill, a network learns that this machine is ill (shortcut
learning: Geirhos et al., Nature Machine Intelligence 2, 2020; for chest X-rays Zech et al., PLOS
Medicine 15, 2018). So groups are looked for before the first epoch, by what a machine leaves in an
image: text burnt in at the same place, constant corners, a style; and by the series of file names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.stats import binom
from sklearn.cluster import DBSCAN, KMeans
from sklearn.preprocessing import RobustScaler

from trainer.data.dataset import Split, strata_counts
from trainer.data.patients import series_of
from trainer.data.style import style_statistics

Grey = NDArray[np.uint8]
Positions = NDArray[np.int64]

SMALLEST = 20  # images of a group
NEARLY = 0.98  # of a group in one class: as good as all
_CHANCE = 1e-3  # that so many of one class come together without a reason

# Burnt-in text, in pixels of 224 and grey levels.
_CORNER = 75  # side of the square at each corner in which it is looked for
_BRIGHTER = 45  # than its surroundings
_STEEP = 20  # difference of neighbouring pixels that a fifth of it exceeds, as letters do
_WORD = (12, 24)  # height and width that words are compared at
_ALIKE = 0.7  # correlation of two words
_ASIDE = 16  # at most, of two words at the same place
_REPEATED = 8  # words alike at the same place
_SCATTER = 8.0  # standard deviation of the place at most: ribs are anywhere


@dataclass(frozen=True)
class Group:
    """Images that share something that is not the patient.

    Attributes:
        kind: "marks", "corners", "style" or "series".
        name: What they share, in a few words.
        images: (n,) positions in the split.
        counts: Images by "normal", "bacterial", "viral" and "unknown" (cause).
        shortcut: Whether nearly all are of one class, by more than chance, and an image shows that
            it belongs here: then the group stands for the class.
    """

    kind: str
    name: str
    images: Positions
    counts: dict[str, int]
    shortcut: bool

    def to_json(self) -> dict[str, Any]:
        """The group without its images, for the manifest."""
        return {**vars(self), "images": len(self.images)}


def find_groups(split: Split, seed: int = 0) -> list[Group]:
    """The groups of one split, the largest of each kind first.

    Args:
        split: The images; fewer than `SMALLEST` make no group.
        seed: Of the style clusters.
    """
    found: list[Group] = []
    for kind, named in (
        ("marks", marks(split.images)),
        ("corners", _constant_corners(split.images)),
        ("style", _styles(split.images, seed)),
        ("series", _series(split.paths)),
    ):
        large = [(name, images) for name, images in named if len(images) >= SMALLEST]
        large.sort(key=lambda pair: -len(pair[1]))
        found += [_group(kind, name, images, split) for name, images in large]
    return found


def of_machines(groups: list[Group], count: int) -> NDArray[np.bool_]:
    """(count,) whether each image belongs to a machine that stands for a class.

    Marks alone identify a machine; a style may be the illness itself.
    """
    member = np.zeros(count, bool)
    for group in groups:
        if group.kind == "marks" and group.shortcut:
            member[group.images] = True
    return member


def marks(images: Grey) -> list[tuple[str, Positions]]:
    """Images with the same text burnt in at the same place near a corner.

    Bright, steep strokes that stand together are a word; words that correlate, at nearly the same
    place, are neighbours, and what hangs together densely is a mark (DBSCAN: Ester et al., KDD
    1996). Digits may differ.

    Args:
        images: (N, 224, 224) uint8.

    Returns:
        The place, and the positions of the images, of each mark.
    """
    found = []
    for vertical in ("upper", "lower"):
        for side in ("left", "right"):
            words, places, owners = _words(images, vertical == "lower", side == "right")
            cluster = _repeated(words, places)
            for label in range(cluster.max(initial=-1) + 1):
                own = cluster == label
                if (places[own, :2].std(axis=0) <= _SCATTER).all():
                    left, top = np.median(places[own, :2], axis=0).astype(int)
                    name = f"text at the {vertical} {side}, {left} pixels across, {top} down"
                    found.append((name, np.unique(owners[own])))
    return found


def _words(
    images: Grey, lower: bool, right: bool
) -> tuple[NDArray[np.float32], Positions, Positions]:
    """Words in one corner: (M, h * w) normalised patches, (M, 4) left, top, width and height, and
    (M,) whose they are."""
    side = images.shape[1] - _CORNER
    top, left = side * lower, side * right
    patches, places, owners = [], [], []
    for owner, image in enumerate(images):
        for (x, y, width, height), strokes in _strokes(
            image[top : top + _CORNER, left : left + _CORNER]
        ):
            patch = cv2.resize(strokes, _WORD[::-1], interpolation=cv2.INTER_AREA)
            patch = patch.astype(np.float32).ravel()
            patch -= patch.mean()
            if (length := float(np.linalg.norm(patch))) >= 1:
                patches.append(patch / length)
                places.append((left + x, top + y, width, height))
                owners.append(owner)
    return (
        np.array(patches, np.float32).reshape(-1, _WORD[0] * _WORD[1]),
        np.array(places, np.int64).reshape(-1, 4),
        np.array(owners, np.int64),
    )


def _strokes(corner: Grey) -> Iterator[tuple[tuple[int, int, int, int], Grey]]:
    """The box of each word, and how far its pixels stand out."""
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (7, 7))
    hat = cv2.morphologyEx(corner, cv2.MORPH_TOPHAT, square)
    joined = cv2.dilate((hat > _BRIGHTER).astype(np.uint8), np.ones((1, 4), np.uint8))
    steepness = np.abs(cv2.Sobel(corner, cv2.CV_32F, 1, 0, ksize=1))
    for x, y, width, height, area in cv2.connectedComponentsWithStats(joined)[2][1:].tolist():
        box = slice(y, y + height), slice(x, x + width)
        if not (4 <= height <= 22 and 6 <= width <= 60 and area >= 12 and x > 0 and y > 0):
            continue
        if np.percentile(steepness[box], 80) >= _STEEP:
            yield (x, y, width, height), np.asarray(hat[box], np.uint8)


def _repeated(words: NDArray[np.float32], places: Positions) -> Positions:
    """(M,) cluster of each word; -1 for one that is not repeated."""
    rows, columns, distances = [], [], []
    for start in range(0, len(words), 1024):
        here = slice(start, start + 1024)
        alike = words[here] @ words.T
        near = alike >= _ALIKE
        for axis in (0, 1):
            near &= np.abs(places[here, axis, None] - places[None, :, axis]) <= _ASIDE
        row, column = np.nonzero(near)
        rows.append(row + start)
        columns.append(column)
        distances.append(np.maximum(1 - alike[row, column], 1e-6))
    if not rows:
        return np.zeros(0, np.int64)
    graph = coo_matrix(
        (np.concatenate(distances), (np.concatenate(rows), np.concatenate(columns))),
        shape=(len(words), len(words)),
    ).tocsr()
    cluster = DBSCAN(eps=1 - _ALIKE, min_samples=_REPEATED, metric="precomputed").fit(graph)
    return np.asarray(cluster.labels_, np.int64)


def _constant_corners(images: Grey) -> list[tuple[str, Positions]]:
    """Images with the same corners of one grey level, such as those of a collimator or a frame."""
    size = images.shape[1] // 16
    places = {
        "upper left": (slice(size), slice(size)),
        "upper right": (slice(size), slice(-size, None)),
        "lower left": (slice(-size, None), slice(size)),
        "lower right": (slice(-size, None), slice(-size, None)),
    }
    constant = np.stack(
        [np.ptp(images[:, rows, columns], axis=(1, 2)) <= 2 for rows, columns in places.values()]
    )
    code = (constant * (1 << np.arange(4))[:, None]).sum(axis=0)
    return [
        (
            "constant " + ", ".join(name for i, name in enumerate(places) if value >> i & 1),
            np.flatnonzero(code == value),
        )
        for value in np.unique(code).tolist()
        if value
    ]


def _styles(images: Grey, seed: int) -> list[tuple[str, Positions]]:
    """Eight clusters by the statistics of `trainer.data.style`."""
    if len(images) < SMALLEST:
        return []
    style = RobustScaler().fit_transform(style_statistics(images)).clip(-5, 5)
    cluster = KMeans(8, n_init=4, random_state=seed).fit_predict(style)
    return [(f"style {label + 1} of 8", np.flatnonzero(cluster == label)) for label in range(8)]


def _series(paths: list[str]) -> list[tuple[str, Positions]]:
    """Images whose names are numbered in one series."""
    names = np.array([series_of(path) or "" for path in paths])
    return [(f"names {name}…", np.flatnonzero(names == name)) for name in np.unique(names) if name]


def _group(kind: str, name: str, images: Positions, split: Split) -> Group:
    counts = strata_counts(split.strata()[images])
    label = int(split.labels[images].mean() >= 0.5)
    common = int((split.labels[images] == label).sum())
    share = float((split.labels == label).mean())
    by_chance = float(binom.sf(common - 1, len(images), share))
    # The name of a file tells the class by itself, but no image shows it.
    shortcut = kind != "series" and common >= NEARLY * len(images) and by_chance < _CHANCE
    return Group(kind, name, images, counts, shortcut)
