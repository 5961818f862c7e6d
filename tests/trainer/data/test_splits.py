"""No patient on both sides, whatever the fold."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.data.dataset import Split
from trainer.data.splits import folds, groups, without_copies
from trainer.data.style import STATISTICS, style_statistics
from trainer.errors import TrainerError


def make_split(patients_per_stratum: int = 20, seed: int = 0) -> Split:
    """Noise images of normal, bacterial and viral patients with one to three images each; the
    classes differ in sharpness, a quarter of the patients excepted."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.uint8], int, int, str]] = []
    for stratum in range(3):
        for number in range(patients_per_stratum):
            sharp = (stratum == 0) != (number % 4 == 0)
            for _ in range(int(rng.integers(1, 4))):
                image = rng.normal(128, 60, (224, 224)).astype(np.float32)
                image = cv2.GaussianBlur(image, (0, 0), 1.0 if sharp else 4.0)
                image = (image - image.mean()) / image.std() * 40 + 128
                rows.append(
                    (
                        np.clip(image, 0, 255).astype(np.uint8),
                        int(stratum > 0),
                        stratum - 1,
                        f"train/{stratum}-{number}",
                    )
                )
    return Split(
        np.stack([r[0] for r in rows]),
        np.array([r[1] for r in rows]),
        np.array([r[2] for r in rows]),
        [r[3] for r in rows],
        [f"{r[3]}-{i}.jpeg" for i, r in enumerate(rows)],
    )


@pytest.fixture(scope="module")
def split() -> Split:
    return make_split()


def apart(split: Split, train: NDArray[np.int64], held: NDArray[np.int64]) -> bool:
    """Whether the two sides cover everything and share no patient and no image."""
    digests = split.digests()
    return (
        sorted([*train, *held]) == list(range(len(split)))
        and not {split.patients[i] for i in train} & {split.patients[i] for i in held}
        and not {digests[i] for i in train} & {digests[i] for i in held}
    )


def test_a_fold_holds_out_patients_with_the_same_mix(split: Split) -> None:
    train, held = folds(split, 5, seed=3)[0]
    assert apart(split, train, held)
    assert 0.12 < len(held) / len(split) < 0.28
    mix = np.bincount(split.strata()[held], minlength=3) / len(held)
    whole = np.bincount(split.strata(), minlength=3) / len(split)
    np.testing.assert_allclose(mix, whole, atol=0.1)


def test_the_seed_decides(split: Split) -> None:
    first, again, other = (folds(split, 5, seed=s)[0][1].tolist() for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_folds_hold_out_everything_once(split: Split) -> None:
    cut = folds(split, 4, seed=0)
    assert sorted(i for _, held in cut for i in held) == list(range(len(split)))
    assert all(apart(split, train, held) for train, held in cut)


def test_exact_copies_are_never_on_both_sides(split: Split) -> None:
    images = split.images.copy()
    patients = np.array(split.patients)
    for number in range(10):  # each of ten pairs of patients shares one image
        first = np.flatnonzero(patients == f"train/1-{2 * number}")[0]
        second = np.flatnonzero(patients == f"train/1-{2 * number + 1}")[0]
        images[second] = images[first]
    copied = Split(images, split.labels, split.causes, split.patients, split.paths)
    assert len(set(groups(copied).tolist())) == 50
    for seed in range(5):
        assert apart(copied, *folds(copied, 4, seed)[0])


def test_copies_are_dropped_and_contradictions_too(split: Split) -> None:
    images, labels = split.images.copy(), split.labels.copy()
    last_sick, well = len(split) - 1, 0
    images[last_sick] = images[last_sick - 1]
    images[well + 1] = images[last_sick - 3]  # normal and pneumonia at once: one must be wrong
    kept, dropped = without_copies(Split(images, labels, split.causes, split.patients, split.paths))
    assert dropped == 3
    assert len(kept) == len(split) - 3
    assert split.paths[last_sick - 1] in kept.paths
    assert split.paths[last_sick] not in kept.paths
    assert split.paths[well + 1] not in kept.paths


def test_unknown_causes_and_few_images_still_split() -> None:
    small = make_split(4)
    unknown = Split(
        small.images, small.labels, np.full(len(small), -1), small.patients, small.paths
    )
    assert apart(unknown, *folds(unknown, 2, 0)[0])


def test_too_few_patients_are_named() -> None:
    with pytest.raises(TrainerError, match="Only 3 patients in the class NORMAL"):
        folds(make_split(3), 5, seed=0)


def test_style_statistics_measure_what_they_name() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 200, (224, 224)).astype(np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3.0)
    dark = np.zeros((224, 224), np.uint8)
    framed = np.full((224, 224), 200, np.uint8)
    framed[:11], framed[-11:], framed[:, :11], framed[:, -11:] = 0, 0, 0, 0
    rows = style_statistics(np.stack([noise, blurred, dark, framed]))
    sharp, _, blank, frame = (dict(zip(STATISTICS, row, strict=True)) for row in rows)
    assert rows[0][0] > 5 * rows[1][0]
    assert rows[0][1] > 5 * rows[1][1]
    assert sharp["mean"] == pytest.approx(noise.mean(), abs=0.01)
    assert sharp["contrast"] == pytest.approx(noise.std(), abs=0.01)
    assert blank["dark"] == 1
    assert frame["border"] < -150
