"""Chest X-rays, and pictures that are none, drawn in code.

A phantom has what a network looks at: the outline of the thorax, dark lungs with vessels, ribs,
collar bones, spine, heart and diaphragm, noise and blur, in varying position, exposure and style.
Pneumonia is one or more soft opacities within a lung (focal), or a haze over both (diffuse).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]


def chest_phantom(
    rng: np.random.Generator, pneumonia: bool, size: int | tuple[int, int] = 224
) -> Grey:
    """Draw one frontal chest X-ray.

    Args:
        rng: Decides everything that varies.
        pneumonia: Whether to draw opacities.
        size: Side, or (height, width), in pixels.

    Returns:
        (H, W) uint8; air is dark.
    """
    height, width = (size, size) if isinstance(size, int) else size
    y, x = np.mgrid[0:1:256j, 0:1:256j].astype(np.float32)
    x = x - rng.uniform(-0.03, 0.03)

    body = _soft((np.abs(x - 0.5) / 0.47) ** 4 + (np.maximum(0.12 - y, 0) / 0.2) ** 2, 1.0, 0.08)
    image = 0.62 * body

    spread = rng.uniform(0.19, 0.22)
    left, right = (_ellipse(x, y, 0.5 + side * spread, 0.47, 0.145, 0.33) for side in (-1, 1))
    lungs = np.clip(left + right, 0, 1)
    image -= rng.uniform(0.36, 0.44) * lungs
    image += 0.16 * _soft(np.abs(x - 0.5), rng.uniform(0.05, 0.07), 0.02) * body  # spine
    heart = _ellipse(x, y, 0.55, 0.63, rng.uniform(0.13, 0.17), 0.17)
    image += 0.26 * heart * (0.4 + 0.6 * lungs)
    dome = 0.80 + 0.05 * np.cos((np.abs(x - 0.5) - spread) * 9)
    image += 0.3 * _soft(dome, y, 0.02) * lungs
    image += 0.09 * _ribs(x, y, rng) * body
    image += 0.10 * _smooth_noise(rng, 24) * lungs  # vessels
    if pneumonia:
        image += _opacities(x, y, rng, left, right)

    image = 0.5 + (image - 0.5) * rng.uniform(0.85, 1.15) + rng.uniform(-0.05, 0.05)
    grey = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    grey = grey.resize((width, height), Image.Resampling.BICUBIC)
    grey = grey.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.004) * min(height, width)))
    noisy = np.asarray(grey, dtype=np.float32) + rng.normal(0, rng.uniform(1, 4), (height, width))
    result = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:  # the marker of the side
        ImageDraw.Draw(result).text((width * 0.04, height * 0.05), "R", fill=255)
    return np.array(result)


def write_kaggle_folder(
    path: Path,
    rng: np.random.Generator,
    train: tuple[int, int] = (24, 24),
    val: tuple[int, int] = (2, 2),
    test: tuple[int, int] = (8, 8),
    size: int | tuple[int, int] = 224,
) -> Path:
    """Write phantoms as JPEG files in the layout, and with the kinds of names, of the Kaggle set.

    Patients have one to three images each. Pneumonia files name their cause; bacterial ones are
    focal more often in the real data, here the cause is only a name.

    Args:
        path: Folder to create.
        rng: Decides everything that varies.
        train: Images of NORMAL and of PNEUMONIA.
        val: The same of the validation folder.
        test: The same of the test folder.
        size: Side, or (height, width), in pixels.

    Returns:
        `path`.
    """
    for split, (normal, pneumonia) in {"train": train, "val": val, "test": test}.items():
        for label, names in (
            ("NORMAL", _normal_names(rng, normal)),
            ("PNEUMONIA", _pneumonia_names(rng, pneumonia)),
        ):
            folder = path / split / label
            folder.mkdir(parents=True)
            for name in names:
                image = Image.fromarray(chest_phantom(rng, label == "PNEUMONIA", size))
                image.save(folder / name, quality=90)
    return path


def not_a_chest_xray(rng: np.random.Generator, kind: str, size: int = 224) -> NDArray[np.uint8]:
    """Draw a picture that is no chest X-ray.

    Args:
        rng: Decides everything that varies.
        kind: One of `NOT_A_CHEST_XRAY`.
        size: Side in pixels.

    Returns:
        (size, size) or, in colour, (size, size, 3) uint8.
    """
    if kind == "noise":
        return rng.integers(0, 256, (size, size), dtype=np.uint8)
    if kind == "black":
        return np.zeros((size, size), np.uint8)
    if kind == "document":
        page = Image.new("L", (size, size), 250)
        draw = ImageDraw.Draw(page)
        for top in range(size // 12, size - size // 12, 8):
            end = size * rng.uniform(0.6, 0.92)
            for start in np.arange(size * 0.08, end, 7):
                draw.rectangle((start, top, start + rng.uniform(2, 6), top + 3), fill=30)
        return np.array(page)
    if kind == "photo":  # sky, land, sun
        photo = Image.new("RGB", (size, size), (120, 170, 230))
        draw = ImageDraw.Draw(photo)
        horizon = size * rng.uniform(0.5, 0.7)
        draw.rectangle((0, horizon, size, size), fill=(60, 130, 50))
        sun, radius = size * rng.uniform(0.2, 0.8), size * 0.08
        draw.ellipse((sun - radius, radius, sun + radius, 3 * radius), fill=(255, 230, 90))
        return np.array(photo.filter(ImageFilter.GaussianBlur(1)))
    if kind == "ct_slice":  # a bright ring around grey tissue on black
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        radius = np.hypot(x / 0.8, y / 0.65)
        slice_ = np.where(radius < 1, 110.0, 0.0) + np.where(np.abs(radius - 0.93) < 0.05, 120, 0)
        slice_ += rng.normal(0, 6, slice_.shape)
        return np.array(np.clip(slice_, 0, 255), dtype=np.uint8)
    raise ValueError(f"unknown kind {kind!r}; known: {', '.join(NOT_A_CHEST_XRAY)}")


NOT_A_CHEST_XRAY = ("noise", "black", "document", "photo", "ct_slice")


def _normal_names(rng: np.random.Generator, count: int) -> list[str]:
    names: list[str] = []
    patient = int(rng.integers(100, 200))
    while len(names) < count:
        prefix = "IM" if len(names) % 2 else "NORMAL2-IM"
        images = range(1, int(rng.integers(2, 4)))
        names += [f"{prefix}-{patient:04d}-{image:04d}.jpeg" for image in images]
        patient += 1
    return names[:count]


def _pneumonia_names(rng: np.random.Generator, count: int) -> list[str]:
    names: list[str] = []
    patient, serial = 1, int(rng.integers(1, 50))
    while len(names) < count:
        cause = "virus" if patient % 3 == 0 else "bacteria"
        for _ in range(int(rng.integers(1, 4))):
            names.append(f"person{patient}_{cause}_{serial}.jpeg")
            serial += 1
        patient += 1
    return names[:count]


def _soft(value: Any, limit: Any, width: float) -> Any:
    """1 where `value` is below `limit`, 0 above, with an edge of about `width`."""
    return 1 / (1 + np.exp(np.clip((value - limit) / (width / 4), -40, 40)))


def _ellipse(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Any:
    return _soft(np.hypot((x - cx) / rx, (y - cy) / ry), 1.0, 0.2)


def _ribs(x: Field, y: Field, rng: np.random.Generator) -> Any:
    """Arcs that fall away from the spine on both sides, and the collar bones."""
    distance = np.abs(x - 0.5)
    phase, pitch = rng.uniform(0, 1), rng.uniform(8.5, 10.5)
    arcs = np.cos(2 * np.pi * (pitch * (y - 0.9 * distance**1.6) + phase))
    bones = np.clip(arcs * 2.2 - 1.2, 0, 1) * _soft(0.06, distance, 0.03)
    collar = _soft(np.abs(y - 0.16 + 0.25 * (distance - 0.2)), 0.012, 0.01)
    return np.clip(bones + collar * _soft(distance, 0.36, 0.05), 0, 1)


def _smooth_noise(rng: np.random.Generator, cells: int) -> Any:
    """(256, 256) in about [-1, 1], of blobs of 256 / `cells` pixels."""
    coarse = rng.normal(0, 90, (cells, cells)) + 128
    blobs = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    fine = blobs.resize((256, 256), Image.Resampling.BICUBIC)
    return np.asarray(fine, dtype=np.float32) / 128 - 1


def _opacities(x: Field, y: Field, rng: np.random.Generator, left: Any, right: Any) -> Any:
    texture = 0.85 + 0.3 * _smooth_noise(rng, 16)
    if rng.random() < 0.35:  # diffuse
        return rng.uniform(0.14, 0.24) * np.clip(left + right, 0, 1) * texture
    total = np.zeros_like(x)
    sides: Sequence[Any] = (left, right)
    for _ in range(int(rng.integers(1, 3))):
        side = int(rng.integers(0, 2))
        cx = 0.5 + (2 * side - 1) * rng.uniform(0.16, 0.27)
        cy, radius = rng.uniform(0.35, 0.7), rng.uniform(0.09, 0.15)
        blob = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
        total += rng.uniform(0.24, 0.36) * blob * sides[side] * texture
    return total
