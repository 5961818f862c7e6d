"""Views of X-rays as other rooms, machines and senders would have made them, for the heads that
know whom the network may judge.

What tells a child's chest from an adult's, or a chest from anything else, must be anatomy. A folder
of adults comes from other machines than the folder of children: without these views the two would
be told apart by their style, and the next hospital's adults would pass. So both get the same wide
range of fields of view, sharpness and exposure, and borrow them from each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.config.recipe import Recipe
from trainer.data.augmentation import augment

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]

_OCTAVES = (1.0, 2.0, 4.0, 8.0)  # pixels: standard deviations of the blurs between bands
_SMALLEST = 0.5  # share of the area that a view shows, at least
_BORROWED = 0.5  # of the views take their style from another image
_WIDEST = 0.35  # share of the side that margins take, at most
# A wider range of everything that is style than the network is trained with.
_STYLES = Recipe(
    crop=0.9,
    rotation=12.0,
    gamma=0.7,
    contrast=0.45,
    blur=2.5,
    sharpen=2.0,
    noise=0.08,
    compression=0.4,
    equalise=0.25,
    frame=0.5,
    erasing=0.3,
)


def restyled(images: Grey, styles: Grey, rng: np.random.Generator) -> Grey:
    """One view of each image in another style.

    Args:
        images: (N, H, W) uint8.
        styles: (M, H, W) uint8, to borrow sharpness and exposure from.
        rng: Source of randomness.

    Returns:
        (N, H, W) uint8.
    """
    views = np.empty_like(images)
    for index, image in enumerate(images):
        view = field_of_view(image, rng)
        if rng.random() < _BORROWED:
            view = borrow_style(view, styles[rng.integers(len(styles))], rng)
        views[index] = view
    return augment(views, rng, _STYLES)


def misplaced(images: Grey, rng: np.random.Generator) -> Grey:
    """Chest X-rays that nobody should judge: turned, negative, cut to a part, or hardly exposed.

    Args:
        images: (N, H, W) uint8, square.
        rng: Source of randomness.

    Returns:
        (N, H, W) uint8.
    """
    views = np.empty_like(images)
    for index, image in enumerate(images):
        kind = rng.integers(5)
        if kind <= 1:
            view = np.rot90(image, int(rng.integers(1, 4)))
        elif kind == 2:
            view = 255 - image
        elif kind == 3:
            height, width = image.shape
            tall, wide = ((0.4, 1.0), (1.0, 0.4), (0.45, 0.45))[rng.integers(3)]
            top = int(rng.uniform(0, 1 - tall) * height)
            left = int(rng.uniform(0, 1 - wide) * width)
            part = image[top : top + int(tall * height), left : left + int(wide * width)]
            view = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            level, span = rng.uniform(0, 200), rng.uniform(0.03, 0.12)
            soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 8))
            view = np.clip(level + soft * span + rng.normal(0, 3, image.shape), 0, 255)
        views[index] = view
    return views


def field_of_view(image: Grey, rng: np.random.Generator) -> Grey:
    """As it is, a part of it, or all of it within margins; of another aspect ratio."""
    height, width = image.shape
    kind = rng.random()
    if kind < 0.3:
        return image
    if kind < 0.75:
        side, aspect = rng.uniform(_SMALLEST, 1) ** 0.5, np.exp(rng.uniform(-0.2, 0.2))
        tall, wide = (min(1.0, side * aspect), min(1.0, side / aspect))
        top, left = rng.uniform(0, 1 - tall) * height, rng.uniform(0, 1 - wide) * width
        part = image[int(top) : int(top + tall * height), int(left) : int(left + wide * width)]
        return _resized(part, height, width)
    # Black or bright margins around the film, or its own edge drawn out.
    tall, wide = ((0, 1), (1, 0), (1, 1))[rng.integers(3)]
    top, low = (int(tall * margin * height) for margin in rng.uniform(0, _WIDEST / 2, 2))
    left, right = (int(wide * margin * width) for margin in rng.uniform(0, _WIDEST / 2, 2))
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    level = int(rng.choice([0, 0, 20, 255]))
    framed = cv2.copyMakeBorder(image, top, low, left, right, border, value=level)
    return _resized(np.asarray(framed, np.uint8), height, width)


def borrow_style(image: Grey, other: Grey, rng: np.random.Generator) -> Grey:
    """An image with another one's sharpness (contrast by octave), histogram, or both."""
    kind = rng.random()
    if kind < 0.7:
        bands, rest = _octaves(image)
        wanted, _ = _octaves(other)
        gains = [
            np.clip(theirs.std() / (own.std() + 1e-3), 0.3, 3)
            for own, theirs in zip(bands, wanted, strict=True)
        ]
        sharp = rest + sum(gain * band for gain, band in zip(gains, bands, strict=True))
        image = np.clip(sharp, 0, 255).astype(np.uint8)
    if kind > 0.3:
        ranks = np.cumsum(np.bincount(image.ravel(), minlength=256)) / image.size
        levels = np.cumsum(np.bincount(other.ravel(), minlength=256)) / other.size
        table = np.interp(ranks, levels, np.arange(256)).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, table), np.uint8)
    return image


def _octaves(image: Grey) -> tuple[list[Field], Field]:
    """The differences between ever stronger blurs, and what the last of them leaves."""
    bands: list[Field] = []
    rest = image.astype(np.float32)
    for sigma in _OCTAVES:
        softer = np.asarray(cv2.GaussianBlur(rest, (0, 0), sigma), np.float32)
        bands.append(rest - softer)
        rest = softer
    return bands, rest


def _resized(image: Grey, height: int, width: int) -> Grey:
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
