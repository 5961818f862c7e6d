"""Pictures that are no chest X-ray, to teach the network what it must not judge.

There is no end to what can be uploaded, so the set is made in code and widened by the few real
pictures that installed packages bring along: photographs of scikit-image, scikit-learn and
matplotlib, and nilearn's template of a head. The hardest are cut from the training folder itself:
chest X-rays with their anatomy shuffled, mirrored or enlarged until no thorax is left, which look
like radiographs of something else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.preprocessing import INPUT_SIZE

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
SIDE = INPUT_SIZE


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
        *(lambda rng: _photograph(rng),) * 6,
        *(lambda rng: _dismembered(xrays[rng.integers(len(xrays))], rng),) * 4,
        *(lambda rng: _aperture(xrays[rng.integers(len(xrays))], rng),) * 3,
        *(_head_slice,) * 3,
        *(_body_slice,) * 3,
        *(_ultrasound, _ultrasound, _limb, _limb, _limb, _breast, _skull, _skull),
        *(_document, _document, _chart, _screen, _shapes, _leaves, _leaves, _clouds, _plain),
    ]
    pictures = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
        field = kinds[index % len(kinds)](rng)
        if rng.random() < 0.15:
            field = 1 - field
        if rng.random() < 0.3:
            field = field + rng.normal(0, rng.uniform(0.005, 0.06), field.shape).astype(np.float32)
        if rng.random() < 0.3:
            field = cv2.GaussianBlur(field, (0, 0), rng.uniform(0.4, 2)).astype(np.float32)
        field = np.clip(field, 0, 1) ** np.exp(rng.uniform(-0.5, 0.5))
        pictures[index] = (field * rng.uniform(0.75, 1) * 255).astype(np.uint8)
    return pictures


def learned_from(pictures: Grey) -> NDArray[np.bool_]:
    """Which pictures are, whole, among the photographs that `not_chest` takes its parts from: that
    these are refused proves little.

    Args:
        pictures: (N, 224, 224) uint8.

    Returns:
        (N,) whether some photograph differs by less than five grey levels on average, which
        compression and resizing may change.
    """
    known = np.stack([_thumbnail(photograph) for photograph in _photographs()])
    return np.array([np.abs(known - _thumbnail(p)).mean(axis=(1, 2)).min() < 5 for p in pictures])


def _thumbnail(picture: Grey) -> Field:
    return np.asarray(cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), np.float32)


@cache
def _photographs() -> list[Grey]:
    """The real pictures inside installed packages, grey, any size."""
    import matplotlib
    import skimage
    import sklearn

    folders = (
        Path(skimage.__file__).parent / "data",
        Path(sklearn.__file__).parent / "datasets" / "images",
        Path(matplotlib.__file__).parent / "mpl-data" / "sample_data",
    )
    files = sorted(
        f for folder in folders for f in folder.glob("*") if f.suffix in (".png", ".jpg")
    )
    pictures = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    return [np.asarray(p, np.uint8) for p in pictures if p is not None and min(p.shape) >= 64]


@cache
def _head() -> Field:
    """The MNI152 template of a head in magnetic resonance, (197, 233, 189), from nilearn's
    package."""
    import nibabel
    import nilearn

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    file = next(folder.glob("mni_icbm152_t1*.nii.gz"))
    volume = np.asarray(nibabel.load(file).dataobj, np.float32)
    return np.asarray(volume / volume.max(), np.float32)


def _to_size(field: NDArray[np.generic]) -> Field:
    values = field.astype(np.float32) / (255 if field.dtype == np.uint8 else 1)
    return np.asarray(cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _photograph(rng: np.random.Generator) -> Field:
    """A random part of a photograph, turned and mirrored."""
    photographs = _photographs()
    picture = photographs[rng.integers(len(photographs))]
    height, width = (max(32, int(side * rng.uniform(0.25, 1))) for side in picture.shape)
    top, left = (
        rng.integers(picture.shape[0] - height + 1),
        rng.integers(picture.shape[1] - width + 1),
    )
    part = picture[top : top + height, left : left + width]
    part = np.rot90(part, int(rng.integers(4))) if rng.random() < 0.3 else part
    return _to_size(np.ascontiguousarray(part[:, :: int(rng.choice([1, -1]))]))


def _dismembered(xray: Grey, rng: np.random.Generator) -> Field:
    """A chest X-ray without a thorax: tiles shuffled, a small part enlarged, or one edge
    mirrored."""
    kind = rng.integers(4)
    if kind == 0:
        count = int(rng.integers(2, 5))
        step = SIDE // count
        tiles = [
            xray[y * step : (y + 1) * step, x * step : (x + 1) * step]
            for y in range(count)
            for x in range(count)
        ]
        order = rng.permutation(len(tiles))
        rows = [
            np.hstack(
                [
                    np.rot90(tiles[i], int(rng.integers(4)))
                    for i in order[y * count : (y + 1) * count]
                ]
            )
            for y in range(count)
        ]
        return _to_size(np.vstack(rows))
    if kind == 1:
        side = int(rng.uniform(0.12, 0.3) * SIDE)
        top, left = rng.integers(0, SIDE - side, 2)
        return _to_size(np.rot90(xray[top : top + side, left : left + side], int(rng.integers(4))))
    if kind == 2:
        part = xray[: SIDE // 3] if rng.random() < 0.5 else xray[-SIDE // 3 :]
        return _to_size(np.vstack([part, part[::-1]]) if rng.random() < 0.5 else part)
    part = xray[:, : SIDE // 3] if rng.random() < 0.5 else xray[:, SIDE // 3 : -SIDE // 3]
    return _to_size(np.hstack([part[:, ::-1], part[:, ::-1]]) if rng.random() < 0.5 else part.T)


def _aperture(xray: Grey, rng: np.random.Generator) -> Field:
    """Something in a round or oval field on black, as endoscopes, slices and fundus cameras show
    it."""
    content = _photograph(rng) if rng.random() < 0.5 else _dismembered(xray, rng)
    y, x = _grid()
    radii = (rng.uniform(0.4, 0.95), rng.uniform(0.4, 0.95))
    centre = (rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15))
    field = content * _ellipse(y, x, centre, radii, rng.uniform(0.01, 0.3))
    if rng.random() < 0.4:  # a rim, as of a skull or of subcutaneous fat
        inner = (radii[0] * 0.9, radii[1] * 0.9)
        rim = _ellipse(y, x, centre, radii) - _ellipse(y, x, centre, inner)
        field = field * (1 - rim) + rng.uniform(0.2, 1) * rim
    return np.asarray(field, np.float32)


def _head_slice(rng: np.random.Generator) -> Field:
    volume = _head()
    axis = int(rng.integers(3))
    where = int(rng.uniform(0.2, 0.8) * volume.shape[axis])
    part = np.rot90(np.take(volume, where, axis), int(rng.integers(4)))
    margin = int(rng.uniform(0, 40))
    part = np.clip(part * rng.uniform(0.7, 1.3), 0, 1) ** np.exp(rng.uniform(-0.7, 0.7))
    if rng.random() < 0.4:  # T2: fluid bright, fat dark
        part = np.where(part > 0.05, 1 - part, 0)
    if rng.random() < 0.3:  # a part of it, as a small field of view shows
        top, left = (int(rng.uniform(0, 0.4) * side) for side in part.shape)
        part = part[top : top + part.shape[0] // 2, left : left + part.shape[1] // 2]
    return _to_size(np.pad(part, margin))


def _grid() -> tuple[Field, Field]:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    return y, x


def _ellipse(
    y: Field, x: Field, centre: tuple[float, float], radii: tuple[float, float], soft: float = 0.03
) -> Field:
    """1 inside, 0 outside, with a soft edge."""
    distance = np.sqrt(((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2)
    return np.asarray(np.clip((1 - distance) / soft, 0, 1), np.float32)


def _speckle(rng: np.random.Generator, grain: float) -> Field:
    """Smooth noise of mean 0 and standard deviation 1."""
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), dtype=np.float32), (0, 0), grain)
    return np.asarray(noise / (noise.std() + 1e-6), np.float32)


def _body_slice(rng: np.random.Generator) -> Field:
    """Computed tomography across the body: an oval on black, bones bright, a few organs, perhaps
    lungs."""
    y, x = _grid()
    tall, wide = rng.uniform(0.45, 0.75), rng.uniform(0.65, 0.95)
    field = 0.45 * _ellipse(y, x, (0, 0), (tall, wide))
    field -= 0.12 * (
        _ellipse(y, x, (0, 0), (tall, wide)) - _ellipse(y, x, (0, 0), (tall - 0.08, wide - 0.08))
    )
    for _ in range(int(rng.integers(3, 8))):
        centre = (rng.uniform(-0.6, 0.6) * tall, rng.uniform(-0.6, 0.6) * wide)
        field += rng.uniform(-0.15, 0.2) * _ellipse(
            y, x, centre, (rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.3)), 0.15
        )
    if rng.random() < 0.5:
        for side in (-1, 1):
            field *= 1 - 0.9 * _ellipse(
                y, x, (-0.05, side * 0.42 * wide), (0.6 * tall, 0.32 * wide), 0.08
            )
    field += 0.6 * _ellipse(y, x, (0.6 * tall, 0), (0.12, 0.1), 0.3)
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 14))):
        field += 0.5 * _ellipse(
            y, x, (0.82 * tall * np.sin(angle), 0.85 * wide * np.cos(angle)), (0.03, 0.05), 0.4
        )
    return np.asarray(field + 0.02 * _speckle(rng, 1), np.float32)


def _ultrasound(rng: np.random.Generator) -> Field:
    """A fan of speckle on black."""
    y, x = _grid()
    top = rng.uniform(-1.3, -0.9)
    radius, angle = np.hypot(y - top, x), np.arctan2(x, y - top)
    inside = (
        (np.abs(angle) < rng.uniform(0.4, 0.9))
        & (radius > rng.uniform(0.1, 0.4))
        & (radius < rng.uniform(1.5, 2))
    )
    tissue = (
        0.35 + 0.2 * _speckle(rng, rng.uniform(1, 3)) + 0.2 * _speckle(rng, rng.uniform(10, 30))
    )
    for _ in range(int(rng.integers(0, 4))):
        tissue *= 1 - _ellipse(
            y, x, tuple(rng.uniform(-0.6, 0.6, 2)), tuple(rng.uniform(0.1, 0.4, 2)), 0.2
        )
    if rng.random() < 0.3:
        inside = np.ones_like(inside)
    return np.asarray(np.where(inside, tissue, 0), np.float32)


def _limb(rng: np.random.Generator) -> Field:
    """Radiograph of a limb or a hand: bright shafts in soft tissue on a dark ground."""
    field = np.zeros((SIDE, SIDE), np.float32)
    count = int(rng.choice([1, 2, 2, 5]))
    lean = rng.uniform(-0.4, 0.4)
    for index in range(count):
        foot = SIDE * (0.5 + (index - (count - 1) / 2) * rng.uniform(0.13, 0.2)) + rng.normal(0, 4)
        points = np.linspace(-0.1, 1.1, int(rng.integers(2, 6)))
        width = int(SIDE * rng.uniform(0.04, 0.16) / np.sqrt(count))
        line = [
            (int(foot + SIDE * lean * (p - 0.5) + rng.normal(0, 3)), int(SIDE * p)) for p in points
        ]
        for start, end in pairwise(line):
            soft, bone, marrow = (np.zeros_like(field) for _ in range(3))
            cv2.line(soft, start, end, 0.3, width * 3)
            cv2.line(bone, start, end, 0.75, width)
            cv2.line(marrow, start, end, 0.2, max(1, width // 2))
            field = np.maximum(field, np.maximum(soft, bone - marrow))
            cv2.circle(field, end, int(width * 0.8), 0.8, -1)
    field = cv2.GaussianBlur(field, (0, 0), rng.uniform(1, 4)) + 0.03 * _speckle(rng, 2)
    return np.asarray(np.rot90(field, int(rng.integers(4))), np.float32)


def _breast(rng: np.random.Generator) -> Field:
    """Mammogram: a half disc of cloudy tissue at one edge."""
    y, x = _grid()
    disc = _ellipse(
        y, x, (rng.uniform(-0.2, 0.2), -1), (rng.uniform(0.6, 0.95), rng.uniform(0.8, 1.6)), 0.1
    )
    tissue = 0.4 + 0.15 * _speckle(rng, 8) + 0.08 * _speckle(rng, 2)
    return np.asarray((disc * tissue)[:, :: int(rng.choice([1, -1]))], np.float32)


def _skull(rng: np.random.Generator) -> Field:
    """A closed bright ring with cloudy content: skull, pelvis, or a jaw."""
    y, x = _grid()
    radii = (rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95))
    outer = _ellipse(y, x, (0, 0), radii)
    inner = _ellipse(y, x, (rng.uniform(-0.1, 0.1), 0), (radii[0] - 0.1, radii[1] - 0.1), 0.2)
    field = 0.8 * outer - rng.uniform(0.2, 0.5) * inner + 0.06 * outer * _speckle(rng, 12)
    for _ in range(int(rng.integers(0, 5))):
        field -= 0.3 * _ellipse(
            y, x, tuple(rng.uniform(-0.5, 0.5, 2)), tuple(rng.uniform(0.08, 0.25, 2)), 0.3
        )
    return np.asarray(field, np.float32)


def _document(rng: np.random.Generator) -> Field:
    """A page of lines of text, upright or photographed askew."""
    page = np.full((SIDE, SIDE), int(rng.integers(190, 256)), np.uint8)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789 .,-:"))
    size, row, ink = rng.uniform(0.25, 1.0), 0.0, int(rng.integers(0, 100))
    while row < SIDE:
        row += 28 * size + rng.uniform(0, 10)
        text = "".join(rng.choice(letters, int(rng.integers(3, 50))))
        _write(page, text, (int(rng.uniform(0, 40)), int(row)), size, ink, int(rng.integers(1, 3)))
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D(
            (SIDE / 2, SIDE / 2), rng.uniform(-30, 30), rng.uniform(0.6, 1.2)
        )
        page = np.asarray(
            cv2.warpAffine(page, turn, (SIDE, SIDE), borderValue=rng.uniform(0, 150)), np.uint8
        )
    return _to_size(page)


def _write(
    canvas: Grey, text: str, place: tuple[int, int], size: float, ink: int, weight: int
) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, weight, cv2.LINE_AA)


def _chart(rng: np.random.Generator) -> Field:
    """A plot: axes with bars or curves."""
    field = np.full((SIDE, SIDE), rng.choice([1.0, 0.1]), np.float32)
    ink = float(1 - field[0, 0])
    cv2.line(field, (25, 200), (210, 200), ink, 1)
    cv2.line(field, (25, 200), (25, 20), ink, 1)
    values = np.cumsum(rng.normal(0, 14, 20)) + 110
    if rng.random() < 0.5:
        for index, value in enumerate(values[:10]):
            top = int(np.clip(value, 20, 195))
            cv2.rectangle(
                field, (32 + 18 * index, top), (44 + 18 * index, 200), rng.uniform(0.2, 0.8), -1
            )
    else:
        points = np.stack([np.linspace(25, 205, 20), np.clip(values, 20, 200)], 1).astype(np.int32)
        cv2.polylines(field, [points], False, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    return field


def _screen(rng: np.random.Generator) -> Field:
    """A screenshot: panels, buttons, lines of text."""
    canvas = np.full((SIDE, SIDE), int(rng.integers(0, 256)), np.uint8)
    for _ in range(int(rng.integers(4, 14))):
        left, top = rng.integers(0, SIDE - 20, 2).tolist()
        corner = (left + int(rng.integers(15, 160)), top + int(rng.integers(8, 90)))
        cv2.rectangle(
            canvas, (left, top), corner, int(rng.integers(0, 256)), -1 if rng.random() < 0.8 else 1
        )
        _write(canvas, "Menu File 12:30", (left + 4, top + 12), 0.35, int(rng.integers(0, 256)), 1)
    return _to_size(canvas)


def _shapes(rng: np.random.Generator) -> Field:
    """A drawing, a board or a logo."""
    if rng.random() < 0.3:
        step = int(rng.integers(8, 50))
        y, x = np.indices((SIDE, SIDE)) // step
        return np.asarray(((x + y) % 2) * rng.uniform(0.5, 1), np.float32)
    field = np.full((SIDE, SIDE), rng.uniform(0, 1), np.float32)
    for _ in range(int(rng.integers(1, 9))):
        centre, level = tuple(rng.integers(0, SIDE, 2).tolist()), rng.uniform(0, 1)
        if rng.random() < 0.5:
            cv2.circle(field, centre, int(rng.integers(6, 80)), level, -1, cv2.LINE_AA)
        else:
            corners = rng.integers(0, SIDE, (int(rng.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(field, [corners], level, cv2.LINE_AA)
    return field


def _leaves(rng: np.random.Generator) -> Field:
    """Dead leaves: discs that cover each other, with the statistics of photographs (Lee et al.,
    IJCV 2001)."""
    field = np.full((SIDE, SIDE), 0.5, np.float32)
    for radius in np.sort(6 / rng.uniform(0.03, 1, int(rng.integers(40, 250))))[::-1]:
        centre, level = tuple(rng.integers(0, SIDE, 2).tolist()), rng.uniform(0, 1)
        if rng.random() < 0.5:
            cv2.circle(field, centre, int(radius), level, -1, cv2.LINE_AA)
        else:
            cv2.ellipse(
                field,
                centre,
                (int(radius), int(radius * rng.uniform(0.2, 1)) + 1),
                rng.uniform(0, 180),
                0,
                360,
                level,
                -1,
            )
    return np.asarray(field + rng.uniform(0, 0.08) * _speckle(rng, rng.uniform(0.6, 3)), np.float32)


def _clouds(rng: np.random.Generator) -> Field:
    """Noise with a power law over frequency: textures, skies, skin, histology."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = 1
    phase = np.exp(2j * np.pi * rng.random(frequency.shape))
    field = np.fft.irfft2(phase * frequency ** -rng.uniform(0, 2.2), s=(SIDE, SIDE))
    field = field - field.mean()
    return np.asarray(0.5 + 0.25 * field / (field.std() + 1e-9), np.float32)


def _plain(rng: np.random.Generator) -> Field:
    """Nothing at all, or a gradient: a covered lens, a blank film."""
    y, x = _grid()
    slope = rng.uniform(-0.4, 0.4, 2) * (rng.random() < 0.7)
    return np.asarray(
        rng.uniform(0, 1) + slope[0] * y + slope[1] * x + 0.02 * _speckle(rng, 1), np.float32
    )
