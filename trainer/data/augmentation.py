"""Augmentation: a new exposure, position and machine for the same lungs.

In the training folder the style of a picture (its sharpness, its borders, its aspect ratio) already
tells the class, and the style of another hospital differs. So everything that is style is drawn
anew for each view, and what is left to learn from is the lungs. NumPy and OpenCV only: the same on
every Keras backend, about a millisecond of one core an image, and images stay 8-bit until the end
because OpenCV is fastest there.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.config.recipe import Recipe

GREY = NDArray[np.uint8]
LEVELS = np.arange(256, dtype=np.float32) / 255
_ASPECT = math.log(4 / 3)  # of a crop, to either side


def augment(images: GREY, rng: np.random.Generator, recipe: Recipe) -> GREY:
    """One random view of each image.

    Args:
        images: (N, H, W) uint8, grey.
        rng: Source of all randomness; equal states give equal views.
        recipe: Strength and probability of each change.

    Returns:
        (N, H, W) uint8.
    """
    return np.stack([_view(image, rng, recipe) for image in images])


def mix(
    images: NDArray[np.float32],
    targets: NDArray[np.float32],
    rng: np.random.Generator,
    alpha: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """MixUp: each image and its targets, blended with another of the batch (Zhang et al., ICLR
    2018).

    Args:
        images: (N, H, W, 1) float32 in [0, 1].
        targets: (N, K) float32; blended in the same proportion.
        rng: Source of randomness.
        alpha: Parameter of the symmetric Beta distribution; 0 leaves the batch as it is.
    """
    if alpha <= 0:
        return images, targets
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(images))
    kept, mixed = share[:, None, None, None], (1 - share)[:, None, None, None]
    return (
        images * kept + images[other] * mixed,
        targets * share[:, None] + targets[other] * (1 - share)[:, None],
    )


def _view(image: GREY, rng: np.random.Generator, recipe: Recipe) -> GREY:
    view = _position(image, rng, recipe)
    if rng.random() < recipe.equalise:
        view = _equaliser(round(2 * rng.uniform(1, 3)) / 2).apply(view)
    view = _sharpness(view, rng, recipe)
    view = cv2.LUT(view, _tone_curve(rng, recipe))
    if rng.random() < 0.5 and recipe.noise:
        view = _add_noise(view, rng, recipe)
    if rng.random() < recipe.compression:
        view = _round_trip(view, quality=int(rng.integers(25, 91)))
    if rng.random() < recipe.frame:
        _frame(view, rng)
    if rng.random() < recipe.erasing:
        _erase(view, rng)
    return np.asarray(view, dtype=np.uint8)


def _position(image: GREY, rng: np.random.Generator, recipe: Recipe) -> GREY:
    """A random resized crop (Szegedy et al., CVPR 2015, section 6), rotation, shear and flip as one
    affine map, so that it is sampled once. The crop lies inside the image before it is turned."""
    height, width = image.shape
    angle = math.radians(rng.uniform(-recipe.rotation, recipe.rotation))
    shear = math.tan(math.radians(rng.uniform(-recipe.shear, recipe.shear)))
    area = rng.uniform(recipe.crop, 1)
    aspect = math.exp(rng.uniform(-_ASPECT, _ASPECT)) if recipe.crop < 1 else 1.0
    part = np.minimum(1, [math.sqrt(area * aspect), math.sqrt(area / aspect)])
    mirror = -1.0 if rng.random() < recipe.flip else 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([mirror, 1.0] / part)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    aside = rng.uniform(-0.5, 0.5, 2) * (1 - part) * (width, height)
    offset = centre - linear @ (centre + aside)
    border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpAffine(
            image,
            np.column_stack([linear, offset]),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        ),
        dtype=np.uint8,
    )


def _sharpness(view: GREY, rng: np.random.Generator, recipe: Recipe) -> GREY:
    """Blur, sharpen, resample or leave alone: sharpness is the strongest clue to the class that is
    not medicine."""
    kind = rng.random()
    if kind < 0.35 and recipe.blur:
        return np.asarray(
            cv2.GaussianBlur(view, (0, 0), 0.3 + rng.random() * recipe.blur), dtype=np.uint8
        )
    if kind < 0.6 and recipe.sharpen:
        amount = rng.random() * recipe.sharpen
        soft = cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.8, 2.5)))
        return np.asarray(cv2.addWeighted(view, 1 + amount, soft, -amount, 0), dtype=np.uint8)
    if kind < 0.75 and recipe.blur:
        height, width = view.shape
        factor = float(rng.uniform(0.4, 0.9))
        small = cv2.resize(view, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
        )
    return view


def _tone_curve(rng: np.random.Generator, recipe: Recipe) -> GREY:
    """Exposure, contrast and display curve as one table of 256 grey levels."""
    curve = LEVELS ** math.exp(rng.uniform(-recipe.gamma, recipe.gamma))
    curve = (curve - 0.5) * math.exp(rng.uniform(-recipe.contrast, recipe.contrast)) + 0.5
    curve = curve + rng.uniform(-recipe.contrast, recipe.contrast) / 3
    return np.asarray(np.clip(curve * 255, 0, 255), dtype=np.uint8)


def _add_noise(view: GREY, rng: np.random.Generator, recipe: Recipe) -> GREY:
    """Detector noise, cut at random from one large field: drawing it anew would cost more than all
    the rest."""
    height, width = view.shape
    field = _noise_field(max(height, width))
    top, left = (
        rng.integers(0, field.shape[0] - height + 1),
        rng.integers(0, field.shape[1] - width + 1),
    )
    strength = rng.random() * recipe.noise * 255 / 32
    noise = cv2.multiply(field[top : top + height, left : left + width], strength)
    return np.asarray(cv2.add(view, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def _round_trip(view: GREY, quality: int) -> GREY:
    """Through JPEG and back."""
    encoded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


@lru_cache(maxsize=4)
def _noise_field(side: int) -> NDArray[np.int16]:
    """Normal noise of standard deviation 32, int16, four times the side."""
    normal = np.random.default_rng(0).standard_normal((4 * side, 4 * side), dtype=np.float32)
    return np.asarray(np.clip(normal * 32, -160, 160), dtype=np.int16)


@lru_cache(maxsize=8)
def _equaliser(clip: float) -> cv2.CLAHE:
    return cv2.createCLAHE(clipLimit=clip, tileGridSize=(4, 4))


def _frame(view: GREY, rng: np.random.Generator) -> None:
    """Black or bright margins, and a burnt-in letter, in place."""
    height, width = view.shape
    level = int(rng.choice([0, 0, 0, 20, 255]))
    # All around, as a frame is, or each side by itself.
    around = rng.random() < 0.4
    for side in [side for side in range(4) if around or rng.random() < 0.4]:
        depth = int(rng.uniform(0.01, 0.08) * height)
        edge = np.rot90(view, side)
        edge[:depth] = level
    if rng.random() < 0.6:
        corner = (int(rng.uniform(0.02, 0.85) * width), int(rng.uniform(0.08, 0.95) * height))
        letter = str(rng.choice(["L", "R", "AP", "P", "SUP"]))
        size, weight = float(rng.uniform(0.3, 0.9)), int(rng.integers(1, 3))
        cv2.putText(
            view,
            letter,
            corner,
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            int(rng.integers(180, 256)),
            weight,
        )


def _erase(view: GREY, rng: np.random.Generator) -> None:
    """Random erasing, in place (Zhong et al., AAAI 2020)."""
    height, width = view.shape
    for _ in range(int(rng.integers(1, 4))):
        box_height, box_width = (int(rng.uniform(0.08, 0.3) * side) for side in (height, width))
        top, left = (
            int(rng.integers(0, height - box_height)),
            int(rng.integers(0, width - box_width)),
        )
        view[top : top + box_height, left : left + box_width] = int(rng.integers(0, 256))
