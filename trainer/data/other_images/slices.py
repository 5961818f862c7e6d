"""Slices of computed tomography and magnetic resonance, drawn: what a scanner sends instead of an
X-ray.

A slice is painted once in tissues and shown either in Hounsfield units through one of the usual
windows, or with the arbitrary contrast and shading of magnetic resonance.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import numpy as np

from trainer.data.other_images.canvas import (
    Field,
    blob,
    blurred,
    ellipse,
    grid,
    labelled,
    paint,
    power_law,
    speckle,
    stroke,
    to_size,
)

# Hounsfield units of what is painted; a contrast agent may brighten vessels and organs.
AIR, LUNG, FAT, WATER, MUSCLE, ORGAN, VESSEL, MARROW, BONE = (
    *(-1000.0, -850.0, -100.0, 5.0, 50.0, 70.0, 160.0, 250.0, 900.0),
)
# Centre and width in Hounsfield units: lung, soft tissue, liver, bone, everything.
WINDOWS = ((-600, 1500), (40, 400), (80, 160), (500, 2000), (0, 3000), (-100, 2400))


def body_slice(rng: np.random.Generator) -> Field:
    """Across chest, belly, head or thighs."""
    paintings = (_chest, _chest, _chest, _belly, _belly, _head, _head, _thighs)
    return _shown(paintings[rng.integers(len(paintings))](rng), rng)


def spine_slice(rng: np.random.Generator) -> Field:
    """Along the spine, from the side: a column of vertebrae with the cord behind it."""
    field = np.full_like(grid()[0], AIR)
    paint(field, blob(rng, (0, 0.1), (1.6, rng.uniform(0.6, 0.9)), 0.1), FAT)
    paint(field, blob(rng, (0, 0), (1.6, rng.uniform(0.4, 0.6)), 0.15), MUSCLE)
    step, bend = rng.uniform(0.18, 0.34), rng.uniform(-0.2, 0.2)
    wide, tall = rng.uniform(0.13, 0.22), step * rng.uniform(0.32, 0.42)
    for y in np.arange(-1, 1.1, step):
        x = bend * np.sin(2 * y)
        paint(field, ellipse((y + step / 2, x), (step * 0.18, wide)), WATER)
        paint(field, ellipse((y, x), (tall, wide), 0.25), BONE if rng.random() < 0.4 else MARROW)
        paint(field, ellipse((y + 0.05, x + wide * 2.4), (tall * 0.6, wide * 0.8), 0.2, 0.4), BONE)
    line = [(y, bend * np.sin(2 * y) + wide * 1.45) for y in np.linspace(-1.1, 1.1, 12)]
    paint(field, stroke(line, wide * 0.7), WATER)
    paint(field, stroke(line, wide * 0.35), ORGAN)
    return _shown(field, rng)


def head_slice(rng: np.random.Generator) -> Field:
    """A real slice of a head in magnetic resonance, the sample of matplotlib's package: turned, a
    part of it, or with its contrast reversed."""
    part = np.rot90(_sample(), int(rng.integers(4)))
    part = part[:, :: int(rng.choice([1, -1]))]
    if rng.random() < 0.5:
        tall, wide = (int(side * rng.uniform(0.5, 1)) for side in part.shape)
        top, left = rng.integers(part.shape[0] - tall + 1), rng.integers(part.shape[1] - wide + 1)
        part = part[top : top + tall, left : left + wide]
    part = np.clip(part * rng.uniform(0.7, 1.5), 0, 1) ** np.exp(rng.uniform(-0.7, 0.7))
    if rng.random() < 0.3:
        part = np.where(part > 0.05, 1 - part, 0)
    return to_size(np.pad(part, int(rng.uniform(0, 60))))


@cache
def _sample() -> Field:
    import matplotlib

    file = Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "s1045.ima.gz"
    pixels = np.frombuffer(gzip.decompress(file.read_bytes()), ">u2").reshape(256, 256)
    return np.asarray(np.clip(pixels / np.percentile(pixels, 99.5), 0, 1), np.float32)


def _shown(field: Field, rng: np.random.Generator) -> Field:
    """Painted tissues as a scanner's console shows them."""
    if rng.random() < 0.4:
        # Magnetic resonance: bone and air are dark, the rest has any order, and coils shade.
        tissues = (AIR, LUNG, FAT, WATER, ORGAN, VESSEL, MARROW, BONE)
        levels = np.interp(field, tissues, (0, 0.03, *rng.uniform(0.1, 1, 5), 0.08))
        y, x = grid()
        shade = 1 + rng.uniform(-0.4, 0.4) * y + rng.uniform(-0.4, 0.4) * x
        shown = levels * shade * (1 + 0.08 * speckle(rng, rng.uniform(0.7, 2)))
    else:
        field = field + rng.uniform(5, 40) * speckle(rng, rng.uniform(0.6, 1.5))
        centre, width = WINDOWS[rng.integers(len(WINDOWS))]
        shown = (field - centre) / width + 0.5
    shown = np.clip(shown, 0, 1)
    if rng.random() < 0.3:  # the circle that is reconstructed, on a ground of its own
        shown = np.where(ellipse((0, 0), (1, 1), 0.001) > 0, shown, rng.choice([0, 0, 0.5, 1.0]))
    if rng.random() < 0.3:
        shown = labelled(np.asarray(shown, np.float32), rng)
    return blurred(np.asarray(shown, np.float32), rng.uniform(0.3, 1.2))


def _body(rng: np.random.Generator, tall: float, wide: float) -> Field:
    """Skin, fat and muscle on a table."""
    field = np.full_like(grid()[0], AIR)
    if rng.random() < 0.6:
        depth, bow = tall + rng.uniform(0.02, 0.15), rng.uniform(0, 0.15)
        couch = [(depth - bow * x * x, x) for x in np.linspace(-0.8, 0.8, 12)]
        paint(field, stroke(couch, 0.02), MUSCLE)
    fat = rng.uniform(0.03, 0.18)
    paint(field, blob(rng, (0, 0), (tall, wide), 0.06), FAT)
    paint(field, blob(rng, (0, 0), (tall - fat, wide - fat), 0.06), MUSCLE)
    return field


def _spine(field: Field, y: float, size: float) -> None:
    paint(field, ellipse((y + size, 0), (size * 1.3, size * 1.2), 0.2), BONE)
    paint(field, ellipse((y, 0), (size, size * 1.25), 0.15), BONE)
    paint(field, ellipse((y, 0), (size * 0.8, size), 0.3), MARROW)
    paint(field, ellipse((y + size * 1.3, 0), (size * 0.45, size * 0.5)), WATER)
    for side in (-1, 1):
        paint(field, stroke([(y + size, 0), (y + size * 1.4, side * size * 2.2)], size * 0.5), BONE)
    paint(field, stroke([(y + size * 1.5, 0), (y + size * 2.6, 0)], size * 0.4), BONE)


def _ribs(field: Field, rng: np.random.Generator, tall: float, wide: float) -> None:
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(5, 14))):
        centre = (tall * np.sin(angle), wide * np.cos(angle))
        along = np.arctan2(tall * np.cos(angle), -wide * np.sin(angle))
        radii = (rng.uniform(0.02, 0.035), rng.uniform(0.05, 0.16))
        paint(field, ellipse(centre, radii, 0.3, float(-along)), BONE)


def _chest(rng: np.random.Generator) -> Field:
    """Two lungs with their vessels around heart and great vessels, or above them."""
    tall, wide = rng.uniform(0.5, 0.8), rng.uniform(0.7, 0.97)
    field = _body(rng, tall, wide)
    _ribs(field, rng, tall * 0.82, wide * 0.84)
    gap = rng.uniform(0.36, 0.46) * wide
    lungs = np.zeros_like(field)
    for side in (-1, 1):
        radii = (tall * rng.uniform(0.5, 0.72), wide * rng.uniform(0.28, 0.36))
        lungs = np.maximum(lungs, blob(rng, (0, side * gap), radii, 0.1, 0.05))
    centre = (rng.uniform(-0.2, 0.05), rng.uniform(-0.15, 0.15))
    radii = (tall * rng.uniform(0.2, 0.45), wide * rng.uniform(0.15, 0.35))
    heart = blob(rng, centre, radii, 0.15)
    lungs *= 1 - heart
    vessels = np.zeros_like(field)
    for side in (-1, 1):
        for _ in range(int(rng.integers(5, 25))):
            start = np.array([rng.uniform(-0.1, 0.1), side * 0.4 * gap])
            end = np.array([rng.uniform(-0.5, 0.5) * tall, side * gap * rng.uniform(0.5, 1.6)])
            middle = (start + end) / 2 + rng.normal(0, 0.05, 2)
            vessel = stroke([start, middle, end], rng.uniform(0.008, 0.03))
            vessels = np.maximum(vessels, vessel)
    paint(field, lungs, LUNG + 60 * speckle(rng, 2))
    paint(field, blurred(lungs * vessels, 0.6), MUSCLE)
    paint(field, heart, ORGAN if rng.random() < 0.5 else VESSEL)
    for _ in range(int(rng.integers(1, 5))):
        centre = (rng.uniform(-0.25, 0.25), rng.uniform(-0.15, 0.15))
        size = rng.uniform(0.03, 0.12)
        paint(field, ellipse(centre, (size, size)), float(rng.choice([VESSEL, ORGAN, AIR])))
    if rng.random() < 0.3:  # fluid or a tumour in one lung
        place = (rng.uniform(-0.2, 0.4), float(rng.choice([-1, 1])) * gap)
        paint(field, lungs * blob(rng, place, (0.25, 0.25), 0.3, 0.2), WATER)
    _spine(field, tall * rng.uniform(0.4, 0.55), rng.uniform(0.07, 0.11))
    return field


def _belly(rng: np.random.Generator) -> Field:
    """Liver, spleen, kidneys and bowels, or the pelvis."""
    tall, wide = rng.uniform(0.5, 0.8), rng.uniform(0.7, 0.97)
    field = _body(rng, tall, wide)
    paint(field, blob(rng, (-0.05, 0), (tall * 0.75, wide * 0.78), 0.05), FAT)
    paint(field, blob(rng, (-0.1, -0.4 * wide), (tall * 0.5, wide * 0.38), 0.2), ORGAN)
    paint(field, blob(rng, (0.05, 0.55 * wide), (tall * 0.35, wide * 0.18), 0.2), ORGAN)
    for _ in range(int(rng.integers(2, 9))):
        centre = (rng.uniform(-0.5, 0.4) * tall, rng.uniform(-0.6, 0.6) * wide)
        size = rng.uniform(0.05, 0.16)
        paint(field, blob(rng, centre, (size, size * 1.3), 0.2), MUSCLE)
        inside = blob(rng, centre, (size * 0.7, size * 0.9), 0.2)
        paint(field, inside, float(rng.choice([WATER, AIR, VESSEL, FAT])))
    for side in (-1, 1):
        if rng.random() < 0.7:
            centre = (tall * 0.35, side * wide * 0.42)
            paint(field, blob(rng, centre, (0.17, 0.12), 0.1), VESSEL)
            paint(field, blob(rng, centre, (0.09, 0.05), 0.2), WATER)
    _ribs(field, rng, tall * 0.85, wide * 0.86)
    for x in (-0.07, 0.07):
        paint(field, ellipse((tall * 0.25, x), (0.05, 0.05)), VESSEL)
    _spine(field, tall * rng.uniform(0.4, 0.5), rng.uniform(0.08, 0.12))
    return field


def _head(rng: np.random.Generator) -> Field:
    """Skull and brain, with its folds and ventricles."""
    field = np.full_like(grid()[0], AIR)
    tall, wide = rng.uniform(0.7, 0.95), rng.uniform(0.55, 0.75)
    thick = rng.uniform(0.03, 0.08)
    paint(field, blob(rng, (0, 0), (tall, wide), 0.04), FAT)
    paint(field, blob(rng, (0, 0), (tall - 0.05, wide - 0.05), 0.03), BONE)
    inside = blob(rng, (0, 0), (tall - 0.05 - thick, wide - 0.05 - thick), 0.03)
    folds = np.abs(power_law(rng, 1.2)) < rng.uniform(0.15, 0.5)
    paint(field, inside, np.where(folds, WATER, ORGAN).astype(np.float32))
    paint(field, blob(rng, (0, 0), (tall * 0.6, wide * 0.55), 0.1, 0.2), MUSCLE)
    for side in (-1, 1):
        centre = (rng.uniform(-0.2, 0.2), side * rng.uniform(0.06, 0.15))
        paint(field, blob(rng, centre, (0.22, 0.06), 0.3), WATER)
    if rng.random() < 0.4:  # the base of the skull: sinuses and petrous bones
        for side in (-1, 1):
            paint(field, ellipse((-0.35, side * 0.2), (0.2, 0.12)), AIR)
            paint(field, ellipse((0.2, side * 0.3), (0.06, 0.25), 0.2, side * 0.5), BONE)
    return field


def _thighs(rng: np.random.Generator) -> Field:
    """Both legs, or a pair of arms."""
    field = np.full_like(grid()[0], AIR)
    size = rng.uniform(0.3, 0.45)
    for side in (-1, 1):
        centre = (rng.uniform(-0.1, 0.1), side * 0.48)
        paint(field, blob(rng, centre, (size * 1.1, size), 0.06), FAT)
        paint(field, blob(rng, centre, (size * 0.9, size * 0.85), 0.1), MUSCLE)
        paint(field, ellipse(centre, (size * 0.28, size * 0.28)), BONE)
        paint(field, ellipse(centre, (size * 0.14, size * 0.14)), FAT)
    return field
