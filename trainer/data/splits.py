"""Splitting images into training and held-out ones so that no patient is on both sides.

Plain folds hold out patients like the others. Stress folds hold out those unlike the rest, by
style or by the order in which they came, as plain folds see no shift (cf. Koh et al., "WILDS", ICML
2021).
"""

import re

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import RobustScaler

from trainer.config.options import STRESS_KINDS, StressKind
from trainer.data.dataset import DatasetError, Split
from trainer.data.style import style_statistics

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


def folds(
    split: Split, count: int, seed: int, instead: str = "raise --validation-share"
) -> list[tuple[Indices, Indices]]:
    """Cut into folds by patient, each with the same mix of normal, bacterial and viral.

    Args:
        split: The images.
        count: How many folds, 2 or more.
        seed: The same seed gives the same folds.
        instead: What the error advises where no more patients can be had.

    Returns:
        (training positions, held-out positions) for each fold.

    Raises:
        DatasetError: Too few patients of a class for so many folds.
    """
    group = groups(split)
    _check_patients(split.labels, group, count, instead)
    strata = split.strata()
    counts = np.bincount(strata, minlength=4)
    strata = np.where(counts[strata] < count, np.where(strata > 0, 3, 0), strata)
    if 0 < (strata == 3).sum() < count:
        strata = np.minimum(strata, 1)
    cut = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [(a.astype(np.int64), b.astype(np.int64)) for a, b in cut.split(strata, strata, group)]


def _check_patients(labels: NDArray[np.int64], group: Indices, count: int, instead: str) -> None:
    for label in (0, 1):
        patients = len(np.unique(group[labels == label]))
        if patients < count:
            raise DatasetError(
                f"Only {patients} patients in the class {('NORMAL', 'PNEUMONIA')[label]}: too few "
                f"to cut into {count} parts. Add images of more patients, or {instead}."
            )


def validation_split(split: Split, share: float, seed: int) -> tuple[Indices, Indices]:
    """Hold out patients for validation: the first of `folds(split, round(1 / share), seed)`.

    Args:
        split: The training folder.
        share: The share of the images to hold out, in (0, 0.5].
        seed: The same seed gives the same patients.

    Returns:
        Positions for training and for validation, disjoint by patient and by exact copies.

    Raises:
        DatasetError: Too few patients.
        ValueError: The share is outside (0, 0.5].
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"the validation share must be in (0, 0.5]; received {share}")
    return folds(split, round(1 / share), seed)[0]


def stress_fold(
    split: Split, kind: StressKind, share: float = 0.15, seed: int = 0
) -> tuple[Indices, Indices]:
    """Hold out the patients whose images are most unlike the rest by style.

    Args:
        split: The training folder.
        kind: What unlike means.
            "swapped": style alone says the wrong class — normal images that look like those of
            the pneumonia patients and the other way round (logistic regression on the style
            statistics, cross-fitted by patient). No stand-in for the Kaggle test folder: a recipe
            that ranked better here did worse there.
            "outlier": far from their own class' typical style (robust distance).
            "cluster": the style cluster (k-means) that comes nearest to the share asked for and
            has both classes.
            "late": the patients with the highest numbers of each series of file names, which were
            numbered as they came: later normal images look more like pneumonia to a network that
            has not seen them.
            "ends": the patients with the lowest and the highest numbers of each series. Nearest to
            the official `test` and `val` folders, whose numbers lie outside those of `train`.
        share: The share of each class' images to hold out; of each cause's too for "late" and
            "ends"; approximately for "cluster".
        seed: For the cross-fitting and the clusters.

    Returns:
        Positions for training and held out, disjoint by patient and by exact copies.

    Raises:
        DatasetError: Too few patients.
        ValueError: An unknown kind.
    """
    if kind not in STRESS_KINDS:
        raise ValueError(f"a stress fold is one of {', '.join(STRESS_KINDS)}; received {kind}")
    group = groups(split)
    if kind in ("late", "ends"):
        _check_patients(split.labels, group, round(1 / share), "raise --validation-share")
        # By cause, as the causes share a series but not its ends.
        place = _place_in_series(split.patients, split.strata())
        far = place if kind == "late" else np.abs(place - 0.5)
        held = _highest(far, split.strata(), group, share)
        return np.flatnonzero(~held), np.flatnonzero(held)
    if kind == "cluster":
        held = _cluster(_style(split), split.labels, group, share, seed)
    else:
        score = (
            style_against_class(split, seed)
            if kind == "swapped"
            else _distance(_style(split), split.labels)
        )
        held = _highest(score, split.labels, group, share)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _place_in_series(patients: list[str], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) where among the images of its series and stratum a patient's number stands, 0 to 1; 0.5
    where there is no number."""
    parts = [re.fullmatch(r"(.*?)(\d+)", patient) for patient in patients]
    place = np.full(len(patients), 0.5)
    series = [(part[1], int(strata[i])) if part else None for i, part in enumerate(parts)]
    for name in set(filter(None, series)):
        own = [i for i, other in enumerate(series) if other == name]
        numbers = np.array([int(patients[i][len(name[0]) :]) for i in own])
        place[own] = (rankdata(numbers) - 1) / max(1, len(own) - 1)
    return place


def style_against_class(split: Split, seed: int = 0) -> NDArray[np.float64]:
    """How sure style alone is of the class that an image is not of.

    Args:
        split: The images, of both classes.
        seed: For the cross-fitting.

    Returns:
        (N,) logits of a logistic regression on the style statistics, cross-fitted by patient:
        above 0 where the style is that of the other class.

    Raises:
        DatasetError: Fewer than 5 patients of a class.
    """
    style, logit = _style(split), np.empty(len(split))
    for train, held in folds(split, 5, seed, "use another --holdout"):
        model = LogisticRegression(class_weight="balanced", max_iter=1000)
        logit[held] = model.fit(style[train], split.labels[train]).decision_function(style[held])
    return np.where(split.labels == 0, logit, -logit)


def _style(split: Split) -> NDArray[np.float64]:
    """(N, F) style statistics, each on a common scale, without outliers."""
    scaled = RobustScaler().fit_transform(style_statistics(split.images)).clip(-5, 5)
    return np.asarray(scaled, np.float64)


def _distance(style: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    far = np.empty(len(labels))
    for label in np.unique(labels):
        own = labels == label
        centred = style[own] - np.median(style[own], axis=0)
        precision = np.linalg.pinv(np.cov(centred, rowvar=False) + 1e-3 * np.eye(style.shape[1]))
        far[own] = np.einsum("ij,jk,ik->i", centred, precision, centred)
    return far


def _highest(
    score: NDArray[np.float64], strata: NDArray[np.int64], group: Indices, share: float
) -> NDArray[np.bool_]:
    """Whole groups with the highest mean score, until each stratum has its share; a stratum of one
    group stays, as there would be nothing to learn it from."""
    held = np.zeros(len(strata), bool)
    for stratum in np.unique(strata):
        own = strata == stratum
        if len(np.unique(group[own])) == 1:
            continue
        names = np.unique(group[own])
        mean = np.array([score[own & (group == name)].mean() for name in names])
        for name in names[np.argsort(-mean, kind="stable")]:
            if held[own].mean() >= share:
                break
            held |= group == name
    return held


def _cluster(
    style: NDArray[np.float64],
    labels: NDArray[np.int64],
    group: Indices,
    share: float,
    seed: int,
) -> NDArray[np.bool_]:
    names, member = np.unique(group, return_inverse=True)
    count = np.bincount(member)
    centre = np.stack([np.bincount(member, column) / count for column in style.T], axis=1)
    cluster = KMeans(min(8, len(names)), n_init=4, random_state=seed).fit_predict(centre)[member]
    fitting = [c for c in np.unique(cluster) if len(np.unique(labels[cluster == c])) == 2]
    if not fitting:
        raise DatasetError("No style cluster has both classes: use another kind of stress fold.")
    best = min(fitting, key=lambda c: abs((cluster == c).mean() - share))
    chosen: NDArray[np.bool_] = cluster == best
    return chosen
