"""What all drawings are made of: a grid, soft ellipses, rough outlines, strokes and smooth noise.

Positions run from -1 to 1 along both sides, y downwards; fields are (224, 224) float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.preprocessing import INPUT_SIZE

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
Point = Sequence[float] | NDArray[np.float64]
SIDE = INPUT_SIZE


@cache
def grid() -> tuple[Field, Field]:
    """The positions y and x of every pixel; not to be changed."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    y.flags.writeable = x.flags.writeable = False
    return y, x


def ellipse(centre: Point, radii: Point, soft: float = 0.03, turn: float = 0.0) -> Field:
    """1 inside, 0 outside, with an edge that is soft over this share of the radius.

    Args:
        centre: y, x.
        radii: Along y and x, before it is turned.
        soft: Width of the edge.
        turn: Radians.
    """
    y, x = grid()
    y, x = y - centre[0], x - centre[1]
    if turn:
        cosine, sine = np.cos(turn), np.sin(turn)
        y, x = y * cosine - x * sine, y * sine + x * cosine
    distance = np.sqrt((y / radii[0]) ** 2 + (x / radii[1]) ** 2)
    return np.asarray(np.clip((1 - distance) / soft, 0, 1), np.float32)


def blob(
    rng: np.random.Generator, centre: Point, radii: Point, rough: float, soft: float = 0.03
) -> Field:
    """An ellipse whose outline wavers, as organs and bodies do, by this share of its radius."""
    rows, columns = grid()
    y, x = (rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]
    angle = np.arctan2(y, x)
    radius = np.ones_like(angle)
    for wave in range(2, 7):
        radius += rough / wave * rng.normal() * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.clip((1 - np.hypot(y, x) / radius) / soft, 0, 1), np.float32)


def paint(field: Field, mask: Field, value: float | Field) -> None:
    """Cover a field with a value where the mask is 1, in place."""
    field *= 1 - mask
    field += mask * value


def stroke(points: Sequence[Point], width: float) -> Field:
    """A line through points (y, x), so wide in the grid's unit; 1 inside."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    pixels = np.round([((x + 1) / 2 * SIDE, (y + 1) / 2 * SIDE) for y, x in points])
    thick = max(1, round(width / 2 * SIDE))
    cv2.polylines(canvas, [pixels.astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    return to_size(canvas)


def speckle(rng: np.random.Generator, grain: float) -> Field:
    """Smooth noise of mean 0 and standard deviation 1; the grain in pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), dtype=np.float32), (0, 0), grain)
    return np.asarray(noise / (noise.std() + 1e-6), np.float32)


def power_law(rng: np.random.Generator, exponent: float) -> Field:
    """Noise whose amplitude falls with this power of the frequency; mean 0, standard deviation
    1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = 1
    phase = np.exp(2j * np.pi * rng.random(frequency.shape))
    field = np.fft.irfft2(phase * frequency**-exponent, s=(SIDE, SIDE))
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def blurred(field: Field, sigma: float) -> Field:
    """The field after a Gaussian blur, in pixels."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)


def to_size(field: NDArray[np.generic]) -> Field:
    """Any picture, uint8 or float in [0, 1], as a field."""
    values = field.astype(np.float32) / (255 if field.dtype == np.uint8 else 1)
    return np.asarray(cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def write(
    canvas: Grey, text: str, place: tuple[int, int], size: float, ink: int, weight: int = 1
) -> None:
    """Letters on an 8-bit picture, in place; the position of the lower left corner in pixels."""
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, weight, cv2.LINE_AA)


def labelled(field: Field, rng: np.random.Generator) -> Field:
    """What consoles write into the corners of a picture."""
    canvas = np.ascontiguousarray(np.clip(field, 0, 1) * 255, np.uint8)
    words = ("ZOOM 1.5", "SE 3/12", "W:400 L:40", "120 kV", "10 cm", "FR 28Hz", "TE 90", "5.0 mm")
    for _ in range(int(rng.integers(2, 9))):
        left, right = rng.integers(2, 30), rng.integers(140, 190)
        top, low = rng.integers(8, 60), rng.integers(170, 220)
        place = int(rng.choice([left, right])), int(rng.choice([top, low]))
        write(canvas, str(rng.choice(words)), place, rng.uniform(0.25, 0.4), 230)
    return to_size(canvas)
