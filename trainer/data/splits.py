"""Splitting images into training and held-out ones so that no patient is on both sides."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from shared.labels import LABELS
from trainer.data.dataset import Split
from trainer.errors import TrainerError

Indices = NDArray[np.int64]


def without_copies(split: Split) -> tuple[Split, int]:
    """Drop exact copies of an earlier image.

    Copies that disagree about the label are all dropped: one of them must be wrong.

    Returns:
        The split with one of each, and how many images were dropped.
    """
    positions: dict[str, list[int]] = {}
    for index, digest in enumerate(split.digests()):
        positions.setdefault(digest, []).append(index)
    kept = [p[0] for p in positions.values() if len({int(split.labels[i]) for i in p}) == 1]
    return (split, 0) if len(kept) == len(split) else (split.select(kept), len(split) - len(kept))


def groups(split: Split) -> Indices:
    """Number the groups that must stay together: one patient, or patients with an equal image.

    Returns:
        (N,) int64, equal for two images that must be on the same side of a split.
    """
    keys: dict[str, int] = {}
    rows, columns = [], []
    for image, (patient, digest) in enumerate(zip(split.patients, split.digests(), strict=True)):
        for key in (f"patient {patient}", f"digest {digest}"):
            rows.append(image)
            columns.append(len(split) + keys.setdefault(key, len(keys)))
    size = len(split) + len(keys)
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    found: Indices = connected_components(graph, directed=False)[1][: len(split)]
    return found.astype(np.int64)


def folds(split: Split, count: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Cut into folds by patient, each with the same mix of normal, bacterial and viral.

    Args:
        split: The images.
        count: How many folds, 2 or more.
        seed: The same seed gives the same folds.

    Returns:
        (training positions, held-out positions) for each fold.

    Raises:
        TrainerError: Too few patients of a class for so many folds.
    """
    group = groups(split)
    for index, label in enumerate(LABELS):
        patients = len(np.unique(group[split.labels == index]))
        if patients < count:
            raise TrainerError(
                f"Only {patients} patients in the class {label}: too few to cut into {count} "
                "parts. Add images of more patients, or lower --folds."
            )
    strata = split.strata()
    counts = np.bincount(strata, minlength=4)
    strata = np.where(counts[strata] < count, np.where(strata > 0, 3, 0), strata)
    if 0 < (strata == 3).sum() < count:
        strata = np.minimum(strata, 1)
    cut = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [(a.astype(np.int64), b.astype(np.int64)) for a, b in cut.split(strata, strata, group)]
