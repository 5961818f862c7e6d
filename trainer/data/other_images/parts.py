"""Parts of real pictures: of photographs inside packages that are installed anyway, and of chest
X-rays, cut until no thorax is left."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.other_images.canvas import SIDE, Field, Grey, ellipse, grid, to_size


@cache
def photographs() -> list[NDArray[np.uint8]]:
    """The real pictures inside scikit-learn and matplotlib, (H, W, 3) of any size."""
    import matplotlib
    import sklearn

    folders = (
        Path(sklearn.__file__).parent / "datasets" / "images",
        Path(matplotlib.__file__).parent / "mpl-data" / "sample_data",
    )
    files = sorted(
        f for folder in folders for f in folder.glob("*") if f.suffix in (".png", ".jpg")
    )
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR) for file in files]
    return [np.asarray(p, np.uint8) for p in pictures if p is not None]


def photograph(rng: np.random.Generator) -> Field:
    """A random part of a photograph, turned, mirrored, through a random filter of colour; at times
    beside or over another."""
    field = _part(rng)
    if rng.random() < 0.3:
        other, kind = _part(rng), rng.integers(3)
        if kind == 0:
            field = field * other
        elif kind == 1:
            field = 0.5 * field + 0.5 * other
        else:
            edge = rng.uniform(-0.6, 0.6)
            field = np.where(grid()[1] < edge, field, other)
    return np.asarray(np.rot90(field, int(rng.integers(4))) if rng.random() < 0.3 else field)


def _part(rng: np.random.Generator) -> Field:
    pictures = photographs()
    picture = pictures[rng.integers(len(pictures))]
    tall, wide = picture.shape[:2]
    height, width = (max(32, int(side * rng.uniform(0.15, 1))) for side in (tall, wide))
    top, left = rng.integers(tall - height + 1), rng.integers(wide - width + 1)
    part = picture[top : top + height, left : left + width, :: int(rng.choice([1, -1]))]
    weights = rng.dirichlet((0.7, 0.7, 0.7)).astype(np.float32)
    grey = part.astype(np.float32) @ weights / 255
    return to_size(np.ascontiguousarray(grey[:, :: int(rng.choice([1, -1]))]))


def dismembered(xray: Grey, rng: np.random.Generator) -> Field:
    """A chest X-ray without a thorax: tiles shuffled, a small part enlarged, or one edge
    mirrored."""
    kind = rng.integers(4)
    if kind == 0:
        count = int(rng.integers(2, 5))
        step = SIDE // count
        corners = [(y * step, x * step) for y in range(count) for x in range(count)]
        tiles = [xray[y : y + step, x : x + step] for y, x in rng.permutation(corners)]
        turned = [np.rot90(tile, int(rng.integers(4))) for tile in tiles]
        rows = [np.hstack(turned[row : row + count]) for row in range(0, len(turned), count)]
        return to_size(np.vstack(rows))
    if kind == 1:
        side = int(rng.uniform(0.12, 0.3) * SIDE)
        top, left = rng.integers(0, SIDE - side, 2)
        return to_size(np.rot90(xray[top : top + side, left : left + side], int(rng.integers(4))))
    if kind == 2:
        part = xray[: SIDE // 3] if rng.random() < 0.5 else xray[-SIDE // 3 :]
        return to_size(np.vstack([part, part[::-1]]) if rng.random() < 0.5 else part)
    part = xray[:, : SIDE // 3] if rng.random() < 0.5 else xray[:, SIDE // 3 : -SIDE // 3]
    return to_size(np.hstack([part[:, ::-1], part[:, ::-1]]) if rng.random() < 0.5 else part.T)


def aperture(xray: Grey, rng: np.random.Generator) -> Field:
    """Something in a round or oval field on black, as endoscopes, slices and fundus cameras show
    it."""
    content = photograph(rng) if rng.random() < 0.5 else dismembered(xray, rng)
    radii = (rng.uniform(0.4, 0.95), rng.uniform(0.4, 0.95))
    centre = (rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15))
    field = content * ellipse(centre, radii, rng.uniform(0.01, 0.3))
    if rng.random() < 0.4:  # a rim, as of a skull or of subcutaneous fat
        inner = (radii[0] * 0.9, radii[1] * 0.9)
        rim = ellipse(centre, radii) - ellipse(centre, inner)
        field = field * (1 - rim) + rng.uniform(0.2, 1) * rim
    return np.asarray(field, np.float32)
