"""Machines are found by what they leave in an image, and named where they stand for a class."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.phantoms import chest_phantom
from trainer.data.acquisition import Group, find_groups, marks, of_machines
from trainer.data.dataset import Split


def mark(image: np.ndarray, text: str) -> None:
    """Burn a text in at the lower right, as a console does."""
    cv2.putText(image, text, (176, 215), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1)


@pytest.fixture(scope="module")
def split() -> Split:
    """60 normal and 140 ill, of whom 30 have a mark of the same letters and various digits."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 140])
    images = np.stack([chest_phantom(rng, bool(label)) for label in labels])
    for index in range(170, 200):
        mark(images[index], f"KV{rng.integers(50, 70)}")
    names = [
        f"train/{'PNEUMONIA/person' if label else 'NORMAL/IM-'}{i:04}-1.jpeg"
        for i, label in enumerate(labels)
    ]
    return Split(images, labels, np.where(labels, 1, -1), names, names)


@pytest.fixture(scope="module")
def groups(split: Split) -> list[Group]:
    return find_groups(split)


def by_kind(groups: list[Group], kind: str) -> list[Group]:
    return [group for group in groups if group.kind == kind]


def of_the_mark(groups: list[Group]) -> Group:
    """The group of the text at the lower right; phantoms have letters for their side elsewhere."""
    [found] = [group for group in groups if group.name.startswith("text at the lower right")]
    return found


def test_a_mark_is_found_whatever_its_digits_and_stands_for_its_class(
    groups: list[Group], split: Split
) -> None:
    found = of_the_mark(groups)
    assert set(found.images.tolist()) <= set(range(170, 200))
    assert len(found.images) >= 27
    assert found.counts == {
        "normal": 0,
        "bacterial": 0,
        "viral": len(found.images),
        "unknown": 0,
    }
    assert found.shortcut
    assert np.flatnonzero(of_machines(groups, len(split))).tolist() == found.images.tolist()


def test_a_mark_on_both_classes_is_no_shortcut(split: Split) -> None:
    images = split.images.copy()
    for index in range(30):
        mark(images[index], "KV60")
    groups = find_groups(replace(split, images=images))
    found = of_the_mark(groups)
    assert len(found.images) >= 54
    assert not found.shortcut
    assert not of_machines(groups, len(split)).any()


def test_images_without_marks_have_none(split: Split) -> None:
    assert not [name for name, _ in marks(split.images[:170]) if "lower" in name]
    assert marks(split.images[:0]) == []


def test_the_name_of_a_file_is_a_series_and_never_a_shortcut(groups: list[Group]) -> None:
    found = {group.name: group for group in by_kind(groups, "series")}
    assert {name: len(group.images) for name, group in found.items()} == {
        "names person…": 140,
        "names im-…": 60,
    }
    assert not any(group.shortcut for group in found.values())


def test_styles_and_constant_corners_are_groups(split: Split) -> None:
    images = split.images.copy()
    images[:25, :20, :20] = 0
    for size in (0.5, 3.0):
        half = slice(0, 100) if size < 1 else slice(100, 200)
        for image in images[half]:
            image[:] = cv2.GaussianBlur(image, (0, 0), size)
    images[:25, :20, :20] = 0
    groups = find_groups(replace(split, images=images))
    assert "constant upper left" in {group.name for group in by_kind(groups, "corners")}
    style = by_kind(groups, "style")
    assert style
    assert all(len(group.images) >= 20 for group in style)


def test_few_images_make_no_group(split: Split) -> None:
    assert find_groups(split.select([0, 1, 198, 199])) == []


def test_a_group_goes_into_the_manifest_without_its_images(groups: list[Group]) -> None:
    assert set(groups[0].to_json()) == {"kind", "name", "images", "counts", "shortcut"}
    assert groups[0].to_json()["images"] == len(groups[0].images)
