"""Pictures that are no chest X-ray, to teach the network what it must not judge.

There is no end to what can be uploaded, so the set is made in code, widened by the few real
pictures inside packages that are installed anyway. The hardest are cut from the training folder
itself: chest X-rays with their anatomy shuffled, mirrored or enlarged until no thorax is left,
which look like radiographs of something else.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.other_images.canvas import SIDE, Field, Grey, blurred, to_size
from trainer.data.other_images.graphics import (
    chart,
    clouds,
    document,
    leaves,
    plain,
    screen,
    shapes,
)
from trainer.data.other_images.parts import aperture, dismembered, photograph, photographs
from trainer.data.other_images.radiographs import angiogram, mammogram, radiograph, ultrasound
from trainer.data.other_images.slices import body_slice, head_slice, spine_slice

_VIEWS = 4  # of each drawing, at most: drawing costs more than anything else


def not_chest(count: int, xrays: Grey, rng: np.random.Generator) -> Grey:
    """Draw pictures of every kind in even shares.

    Args:
        count: How many.
        xrays: (N, 224, 224) uint8, training images, as raw material.
        rng: Source of randomness.

    Returns:
        (count, 224, 224) uint8.
    """
    kinds: list[Callable[[np.random.Generator], Field]] = [
        *(lambda rng: photograph(rng),) * 6,
        *(lambda rng: dismembered(xrays[rng.integers(len(xrays))], rng),) * 4,
        *(lambda rng: aperture(xrays[rng.integers(len(xrays))], rng),) * 3,
        *(body_slice,) * 7,
        *(spine_slice, head_slice, head_slice),
        *(radiograph,) * 7,
        *(ultrasound,) * 3,
        *(mammogram, angiogram),
        *(document, document, chart, screen, shapes, leaves, leaves, clouds, plain),
    ]
    each = max(1, min(_VIEWS, count // (5 * len(kinds))))
    pictures = np.empty((count, SIDE, SIDE), np.uint8)
    for start in range(0, count, each):
        field = kinds[start // each % len(kinds)](rng)
        for index in range(start, min(start + each, count)):
            pictures[index] = _view(field, rng)
    return pictures


def _view(field: Field, rng: np.random.Generator) -> Grey:
    """A drawing or a part of it, as another machine shows it."""
    if rng.random() < 0.5:
        side = int(rng.uniform(0.6, 1) * SIDE)
        top, left = rng.integers(0, SIDE - side + 1, 2)
        field = to_size(np.ascontiguousarray(field[top : top + side, left : left + side]))
    if rng.random() < 0.15:
        field = 1 - field
    if rng.random() < 0.3:
        field = field + rng.uniform(0.005, 0.06) * rng.standard_normal(field.shape, np.float32)
    if rng.random() < 0.3:
        field = blurred(field, rng.uniform(0.4, 2))
    field = np.clip(field, 0, 1) ** np.exp(rng.uniform(-0.5, 0.5))
    return np.asarray(field[:, :: int(rng.choice([1, -1]))] * rng.uniform(0.75, 1) * 255, np.uint8)


def learned_from(pictures: Grey) -> NDArray[np.bool_]:
    """Which pictures are, whole, among the photographs that `not_chest` takes its parts from: that
    these are refused proves little.

    Args:
        pictures: (N, 224, 224) uint8.

    Returns:
        (N,) whether some photograph differs by less than five grey levels on average, which
        compression and resizing may change.
    """
    greys = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in photographs()]
    known = np.stack([_thumbnail(np.asarray(grey, np.uint8)) for grey in greys])
    return np.array([np.abs(known - _thumbnail(p)).mean(axis=(1, 2)).min() < 5 for p in pictures])


def _thumbnail(picture: Grey) -> Field:
    return np.asarray(cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), np.float32)
