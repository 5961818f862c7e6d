"""Augmentation: other style, same lungs, and the same again for the same seed."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.phantoms import chest_phantom
from trainer.config.recipe import Recipe
from trainer.data.augmentation import augment, mix

STILL = Recipe(
    rotation=0,
    crop=1,
    shear=0,
    flip=0,
    gamma=0,
    contrast=0,
    blur=0,
    sharpen=0,
    noise=0,
    compression=0,
    equalise=0,
    frame=0,
    erasing=0,
)
CROPPED = dataclasses.replace(STILL, crop=0.35)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    return np.stack([chest_phantom(rng, pneumonia=bool(i % 2)) for i in range(6)])


def test_views_keep_shape_and_type_and_leave_the_images_alone(images: NDArray[np.uint8]) -> None:
    before = images.copy()
    views = augment(images, np.random.default_rng(0), Recipe())
    assert views.shape == images.shape
    assert views.dtype == np.uint8
    assert np.array_equal(images, before)


def test_the_same_seed_gives_the_same_views_and_another_gives_others(
    images: NDArray[np.uint8],
) -> None:
    first, again, other = (
        augment(images, np.random.default_rng(seed), Recipe()) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_with_every_strength_at_zero_nothing_changes(images: NDArray[np.uint8]) -> None:
    views = augment(images, np.random.default_rng(0), STILL)
    assert np.abs(views.astype(int) - images).max() <= 1


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("rotation", 10.0),
        ("crop", 0.35),
        ("shear", 8.0),
        ("flip", 1.0),
        ("gamma", 0.5),
        ("contrast", 0.3),
        ("blur", 2.0),
        ("sharpen", 1.5),
        ("noise", 0.1),
        ("compression", 1.0),
        ("equalise", 1.0),
        ("frame", 1.0),
        ("erasing", 1.0),
    ],
)
def test_each_knob_alone_changes_images(images: NDArray[np.uint8], knob: str, value: float) -> None:
    change: dict[str, Any] = {knob: value}
    recipe = dataclasses.replace(STILL, **change)
    views = augment(images, np.random.default_rng(3), recipe)
    changed = np.abs(views.astype(int) - images).mean(axis=(1, 2))
    assert changed.max() > 0.5


def test_frames_lie_all_around_more_often_than_four_margins_would_by_chance() -> None:
    grey = np.full((200, 224, 224), 128, np.uint8)
    views = augment(grey, np.random.default_rng(0), dataclasses.replace(STILL, frame=1.0))
    edges = np.stack([views[:, 0], views[:, -1], views[:, :, 0], views[:, :, -1]])
    framed = (np.abs(edges.astype(int) - 128) > 50).mean(axis=2) > 0.9
    share = framed.all(axis=0).mean()
    assert 0.3 < share < 0.55  # by chance, 0.03


def test_flip_mirrors(images: NDArray[np.uint8]) -> None:
    views = augment(images, np.random.default_rng(0), dataclasses.replace(STILL, flip=1.0))
    assert np.abs(views.astype(int) - images[:, :, ::-1]).max() <= 1


def test_a_crop_is_a_part_of_the_image_and_no_more() -> None:
    """No border comes in, whatever is drawn, and it is as large as said."""
    ramp = np.tile(np.linspace(40, 215, 224).round().astype(np.uint8), (1, 224, 1))
    parts = []
    for seed in range(50):
        [across] = augment(ramp, np.random.default_rng(seed), CROPPED)
        [down] = augment(ramp.swapaxes(1, 2), np.random.default_rng(seed), CROPPED)
        assert across.min() >= 39  # a level less, by rounding
        parts.append(np.ptp(across) / 175 * (np.ptp(down) / 175))
    assert 0.3 < min(parts) < 0.5
    assert max(parts) > 0.8


def test_mixing_blends_images_and_targets_alike() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(8, dtype=np.float32)[:, None]
    images = np.broadcast_to(targets[:, :, None, None], (8, 4, 4, 1)).astype(np.float32)
    mixed, blended = mix(images, targets, rng, alpha=1.0)
    assert np.allclose(mixed[:, 0, 0], blended, atol=1e-5)
    assert not np.allclose(blended, targets)
    same, kept = mix(images, targets, rng, alpha=0)
    assert np.array_equal(same, images)
    assert np.array_equal(kept, targets)
