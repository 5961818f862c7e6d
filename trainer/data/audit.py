"""What the data are: counts, patients, copies, leaks and sizes. Read before trusting a figure."""

import hashlib
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import Data
from shared.labels import LABELS
from trainer.data.dataset import Broken, Split, strata_counts
from trainer.data.patients import series_of
from trainer.data.style import STATISTICS, style_statistics

_STYLED = 600  # images, evenly over the split: a median needs no more


@dataclass(frozen=True)
class SplitAudit:
    """Facts of one split.

    Attributes:
        images: How many.
        patients: How many.
        strata: Images by "normal", "bacterial", "viral" and "unknown" (cause).
        copies: Images that are exact copies of an earlier one of the same split.
        height: Median height of the originals in pixels, and the 5th and 95th percentile.
        width: The same of the width.
        aspect: Median width / height by class.
        style: Median of each style statistic by class (see `trainer.data.style`).
    """

    images: int
    patients: int
    strata: dict[str, int]
    copies: int
    height: tuple[int, int, int] | None
    width: tuple[int, int, int] | None
    aspect: dict[str, float]
    style: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Audit:
    """Facts of the data of one run.

    Attributes:
        splits: By name, in the order "train", "val", "test".
        shared_copies: Pairs of splits to how many images of the second are exact copies of one
            of the first.
        shared_patients: Pairs of splits to how many patients both have.
        dropped: Exact copies dropped before splitting.
        broken: Files that were skipped.
    """

    splits: dict[str, SplitAudit]
    shared_copies: dict[tuple[str, str], int]
    shared_patients: dict[tuple[str, str], int]
    dropped: int = 0
    broken: list[Broken] = field(default_factory=list)


def audit(splits: dict[str, Split], dropped: int, broken: list[Broken]) -> Audit:
    """Gather the facts.

    Args:
        splits: The splits by name. Patients of "val" are compared with those of "train" by number,
            those of "test" are not: there the numbers start again.
        dropped: Exact copies dropped beforehand.
        broken: Files that were skipped.
    """
    digests = {name: set(split.digests()) for name, split in splits.items()}
    numbers = {
        name: {p.split("/", 1)[-1] for p in split.patients}
        for name, split in splits.items()
        if name != "test"
    }
    return Audit(
        splits={name: _facts(split) for name, split in splits.items()},
        shared_copies={(a, b): len(digests[a] & digests[b]) for a, b in combinations(splits, 2)},
        shared_patients={(a, b): len(numbers[a] & numbers[b]) for a, b in combinations(numbers, 2)},
        dropped=dropped,
        broken=broken,
    )


def fingerprint(split: Split) -> str:
    """SHA-256 over the names, labels and contents of the images, whatever their order."""
    rows = sorted(
        f"{path}\t{label}\t{digest}"
        for path, label, digest in zip(split.paths, split.labels, split.digests(), strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def data_record(splits: dict[str, Split], learned: NDArray[np.bool_], digest: str) -> Data:
    """The part of the manifest that says what the network was fitted on.

    Args:
        splits: With "train".
        learned: (N,) which images of "train" are learned from; the others are counted apart.
        digest: `fingerprint` of the training folder, before copies were dropped.
    """
    names, whole = splits["train"].paths, splits["train"]
    splits = splits | {"train": whole.select(np.flatnonzero(learned))}
    if not learned.all():
        splits["left out"] = whole.select(np.flatnonzero(~learned))
    return Data(
        fingerprint=digest,
        kaggle=sum(series_of(name) is not None for name in names) > 0.9 * len(names),
        counts={name: class_counts(split) for name, split in splits.items()},
        patients={name: len(set(split.patients)) for name, split in splits.items()},
    )


def class_counts(split: Split) -> dict[str, int]:
    """Images of each class."""
    return {label: int((split.labels == i).sum()) for i, label in enumerate(LABELS)}


def _facts(split: Split) -> SplitAudit:
    digests = split.digests()
    measured = split.select(np.unique(np.linspace(0, len(split) - 1, _STYLED).astype(int)))
    style = style_statistics(measured.images)
    by_class = {label: split.labels == i for i, label in enumerate(LABELS)}
    sized = len(split.sizes) > 0
    return SplitAudit(
        images=len(split),
        patients=len(set(split.patients)),
        strata=strata_counts(split.strata()),
        copies=len(digests) - len(set(digests)),
        height=_spread(split.sizes[:, 0]) if sized else None,
        width=_spread(split.sizes[:, 1]) if sized else None,
        aspect={
            label: float(np.median(split.sizes[of, 1] / np.maximum(split.sizes[of, 0], 1)))
            for label, of in by_class.items()
            if sized and of.any()
        },
        style={
            label: dict(zip(STATISTICS, np.median(style[of], axis=0).tolist(), strict=True))
            for label, of in ((label, measured.labels == i) for i, label in enumerate(LABELS))
            if of.any()
        },
    )


def _spread(values: "np.ndarray[tuple[int], np.dtype[np.int32]]") -> tuple[int, int, int]:
    low, middle, high = (int(v) for v in np.percentile(values, (5, 50, 95)))
    return middle, low, high
