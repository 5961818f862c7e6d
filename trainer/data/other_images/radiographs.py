"""Radiographs of anything but a chest, and ultrasound, drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.other_images.canvas import (
    SIDE,
    Field,
    Grey,
    Point,
    blob,
    blurred,
    ellipse,
    grid,
    labelled,
    power_law,
    speckle,
    stroke,
    to_size,
    write,
)


def radiograph(rng: np.random.Generator) -> Field:
    """Bones of any part of the body, in soft tissue, on a film of its own: a sum of shadows, as
    X-rays make it."""
    drawings = (_limb, _limb, _joint, _joint, _hand, _hand, _spine, _pelvis, _skull, _jaws, _belly)
    shadow = drawings[rng.integers(len(drawings))](rng)
    shadow = shadow * (1 + 0.15 * power_law(rng, 1.6)) + 0.02 * speckle(rng, rng.uniform(0.7, 2))
    field = 1 - np.exp(-rng.uniform(0.7, 1.8) * blurred(shadow, rng.uniform(0.5, 2)))
    field = field / max(float(np.quantile(field, 0.995)), 1e-3)
    if rng.random() < 0.6:
        field = np.rot90(field, int(rng.choice([0, 0, 0, 1, 2, 3])))
    return _collimated(np.asarray(field, np.float32), rng)


def mammogram(rng: np.random.Generator) -> Field:
    """A half disc of cloudy tissue at one edge, with the muscle above it."""
    y, x = grid()
    radii = (rng.uniform(0.5, 0.95), rng.uniform(0.8, 1.6))
    disc = blob(rng, (rng.uniform(-0.2, 0.2), -1), radii, 0.05, 0.12)
    tissue = 0.35 + 0.2 * power_law(rng, rng.uniform(1.2, 1.8))
    field = disc * np.clip(tissue, 0.05, 1)
    if rng.random() < 0.6:
        muscle = np.clip((-y - x * rng.uniform(1, 2.5) - rng.uniform(1.2, 1.8)) * 8, 0, 1)
        field = np.maximum(field, muscle * rng.uniform(0.5, 0.9))
    return np.asarray(field[:, :: int(rng.choice([1, -1]))], np.float32)


def angiogram(rng: np.random.Generator) -> Field:
    """Vessels full of contrast, dark on a grey ground, branching."""
    field = 0.6 + 0.1 * power_law(rng, 1.8)
    for _ in range(int(rng.integers(1, 4))):
        _branch(field, rng, rng.uniform(-1, 1, 2), rng.uniform(0, 2 * np.pi), 0.1, 0)
    field = blurred(field, 0.8) * ellipse((0, 0), (1.05, 1.05), 0.02)
    return np.asarray(field, np.float32)


def ultrasound(rng: np.random.Generator) -> Field:
    """Speckle in layers, with cysts and shadows, as a fan or a strip, within a console's screen."""
    y, x = grid()
    if rng.random() < 0.7:
        top = rng.uniform(-1.4, -0.8)
        depth, across = np.hypot(y - top, x), np.arctan2(x, y - top)
        start, stop = rng.uniform(0.05, 0.5), rng.uniform(1.3, 2.1)
        half = rng.uniform(0.35, 0.9)
    else:
        depth, across = y + 1, x
        start, stop = rng.uniform(0, 0.4), rng.uniform(1.4, 2)
        half = rng.uniform(0.5, 1)
    inside = (np.abs(across) < half) & (depth > start) & (depth < stop)
    waver = blurred(speckle(rng, 12), 2) * rng.uniform(0, 0.06)
    bands = np.interp(depth + waver, np.sort(rng.uniform(start, stop, 9)), rng.uniform(0.1, 0.8, 9))
    grains = np.hypot(speckle(rng, rng.uniform(0.8, 2.5)), speckle(rng, rng.uniform(0.8, 2.5)))
    tissue = bands * (0.3 + 0.45 * grains)
    for _ in range(int(rng.integers(0, 6))):
        centre, size = rng.uniform(-0.6, 0.6, 2).tolist(), rng.uniform(0.05, 0.4, 2).tolist()
        hole = blob(rng, centre, size, 0.2, 0.15)
        tissue *= 1 - hole * rng.uniform(0.4, 1)
        if rng.random() < 0.4:
            tissue += 0.5 * (blob(rng, centre, size, 0.1, 0.3) - hole).clip(0)
    if rng.random() < 0.3:  # the shadow of a rib or a stone
        where, wide = rng.uniform(-half, half), rng.uniform(0.03, 0.15)
        tissue *= 1 - 0.8 * ((np.abs(across - where) < wide) & (depth > start + 0.3))
    field = np.where(inside, tissue * np.exp(-rng.uniform(0, 0.5) * depth), 0.0)
    field = np.asarray(field, np.float32)
    if rng.random() < 0.6:
        field = labelled(field, rng)
        field[30:140, -8:-3] = np.linspace(1, 0, 110, dtype=np.float32)[:, None]
    return field


def _collimated(field: Field, rng: np.random.Generator) -> Field:
    """The ground around the irradiated field, and a letter."""
    if rng.random() < 0.4:
        depth = rng.integers(0, SIDE // 4, 4)
        level = float(rng.choice([0.0, 0.0, 1.0]))
        field = field.copy()
        field[: depth[0]] = field[SIDE - depth[1] :] = level
        field[:, : depth[2]] = field[:, SIDE - depth[3] :] = level
    if rng.random() < 0.5:
        canvas: Grey = np.ascontiguousarray(np.clip(field, 0, 1) * 255, np.uint8)
        place = int(rng.uniform(5, 190)), int(rng.uniform(20, 215))
        write(canvas, str(rng.choice(["L", "R"])), place, rng.uniform(0.4, 0.9), 250, 2)
        field = to_size(canvas)
    return field


def _shaft(start: Point, end: Point, width: float, flare: float = 1.5) -> Field:
    """A long bone: a dense rim around marrow, wider at its ends."""
    bone = stroke([start, end], width)
    for point in (start, end):
        bone = np.maximum(bone, ellipse(point, (width * flare / 2, width * flare / 2), 0.2))
    marrow = stroke([start, end], width * 0.55)
    return np.asarray(np.clip(blurred(bone, 1) - 0.45 * blurred(marrow, 1.5), 0, 1), np.float32)


def _flesh(points: Sequence[Point], width: float) -> Field:
    return 0.35 * blurred(stroke(points, width), 6)


def _limb(rng: np.random.Generator) -> Field:
    """One or two shafts through the whole picture."""
    lean, width = rng.uniform(-0.3, 0.3), rng.uniform(0.12, 0.3)
    places = [rng.uniform(-0.2, 0.2)]
    if rng.random() < 0.6:
        places.append(places[0] + rng.choice([-1, 1]) * width * rng.uniform(1, 1.5))
    middle = float(np.mean(places))
    field = _flesh([(-1.2, middle - lean), (1.2, middle + lean)], width * rng.uniform(2.5, 5))
    ends = rng.uniform(0.7, 1.3, 2)
    for place in places:
        start, end = (-float(ends[0]), place - lean), (float(ends[1]), place + lean)
        field = field + 0.8 * _shaft(start, end, width * rng.uniform(0.6, 1))
    return field


def _joint(rng: np.random.Generator) -> Field:
    """Knee, elbow, ankle or shoulder: two bones that meet at an angle."""
    width, bend = rng.uniform(0.2, 0.45), rng.uniform(-0.9, 0.9)
    gap, top = rng.uniform(0.04, 0.1), rng.uniform(-0.3, 0.3)
    upper, lower = (-1.3, rng.uniform(-0.3, 0.3)), (1.3, bend)
    field = _flesh([upper, (top, 0), lower], width * rng.uniform(1.8, 3))
    above, below = (top - width / 2 - gap, 0.0), (top + width / 2 + gap, bend * 0.2)
    for start, end in ((upper, above), (below, lower)):
        field = field + 0.8 * _shaft(start, end, width * 0.6, rng.uniform(1.6, 2.4))
    if rng.random() < 0.5:
        field = field + 0.5 * ellipse((top, rng.uniform(-0.2, 0.2)), (width / 3, width / 3), 0.3)
    return field


def _hand(rng: np.random.Generator) -> Field:
    """Five rays of short bones from a wrist or a heel."""
    field = _flesh([(0.3, 0), (1.3, 0)], 0.7)
    width, wide = rng.uniform(0.07, 0.11), rng.uniform(0.14, 0.24)
    for ray in range(5):
        tip = wide * (ray - 2) * rng.uniform(1.2, 2)
        root = np.array([0.35, wide * (ray - 2) * 0.6])
        top = np.array([-rng.uniform(0.6, 0.95) + 0.12 * abs(ray - 2), tip])
        field = field + _flesh([root, top], width * 2.4)
        marks = np.cumsum([0, 0.4, 0.27, 0.19, 0.14])
        for start, end in zip(marks[:-1], marks[1:] - 0.03, strict=True):
            bone = _shaft(root + (top - root) * start, root + (top - root) * end, width)
            field = field + 0.7 * bone
    for _ in range(int(rng.integers(5, 9))):
        centre = (rng.uniform(0.4, 0.65), rng.uniform(-0.3, 0.3))
        field = field + 0.5 * blob(rng, centre, (0.1, 0.1), 0.15, 0.2)
    for side in (-0.16, 0.16):
        field = field + 0.7 * _shaft((0.75, side), (1.4, side), 0.2)
    return field


def _vertebrae(place: float, step: float, wide: float) -> Field:
    field = np.zeros_like(grid()[0])
    for y in np.arange(-1, 1.1, step):
        x = place + 0.1 * np.sin(2 * y)
        body = ellipse((y, x), (step * 0.42, wide), 0.15)
        field += 0.6 * body - 0.2 * ellipse((y, x), (step * 0.3, wide * 0.75), 0.3)
        field += 0.3 * stroke([(y, x - wide * 1.8), (y + 0.03, x + wide * 1.8)], step * 0.25)
        field += 0.3 * ellipse((y + step * 0.3, x), (step * 0.25, wide * 0.2), 0.3)
    return field


def _spine(rng: np.random.Generator) -> Field:
    """Neck or loins, from the front or the side."""
    step = rng.uniform(0.2, 0.42)
    field = _flesh([(-1.2, 0), (1.2, 0)], rng.uniform(0.8, 1.8))
    return field + _vertebrae(rng.uniform(-0.3, 0.3), step, rng.uniform(0.13, 0.26))


def _pelvis(rng: np.random.Generator) -> Field:
    """Wings, sockets, rings and the upper thighs."""
    field = 0.35 * blob(rng, (0, 0), (1.3, 1.1), 0.05, 0.1)
    size = rng.uniform(0.75, 1.1)
    for side in (-1, 1):
        turn = side * 0.5
        wing = ellipse((-0.35 * size, side * 0.5 * size), (0.4 * size, 0.27 * size), 0.3, turn)
        ring = ellipse((0.35 * size, side * 0.25 * size), (0.2 * size, 0.17 * size), 0.15)
        hole = ellipse((0.35 * size, side * 0.25 * size), (0.12 * size, 0.1 * size), 0.2)
        field = field + 0.5 * wing + 0.6 * (ring - hole)
        head = (0.1 * size, side * 0.6 * size)
        field = field + 0.5 * ellipse(head, (0.16 * size, 0.16 * size), 0.2)
        neck = (0.3 * size, side * 0.85 * size)
        field = field + 0.7 * _shaft(head, neck, 0.17 * size)
        field = field + 0.7 * _shaft(neck, (1.4, side * 0.75 * size), 0.19 * size)
    sacrum = ellipse((-0.2 * size, 0), (0.4 * size, 0.22 * size), 0.4)
    spine = _vertebrae(0, 0.3 * size, 0.17 * size)
    spine[int(SIDE * 0.35) :] = 0
    return field + 0.5 * sacrum + spine


def _skull(rng: np.random.Generator) -> Field:
    """From the front or the side: a dense ring, cavities, teeth."""
    radii = (rng.uniform(0.5, 0.8), rng.uniform(0.55, 0.85))
    centre = (rng.uniform(-0.3, -0.1), rng.uniform(-0.15, 0.15))
    outer = blob(rng, centre, radii, 0.04, 0.05)
    field = 0.8 * outer - 0.35 * blob(rng, centre, (radii[0] - 0.08, radii[1] - 0.08), 0.04, 0.2)
    for side in (-1, 1):
        where = (centre[0] + radii[0] * 0.45, centre[1] + side * rng.uniform(0.1, 0.3))
        field = field - 0.3 * blob(rng, where, (0.15, 0.14), 0.1, 0.2)
    jaw = (centre[0] + radii[0] * 1.05, centre[1] + rng.uniform(-0.3, 0.3))
    field = field + 0.5 * blob(rng, jaw, (0.3, 0.35), 0.15, 0.2)
    for place in np.linspace(-0.2, 0.2, 8):
        tooth = (jaw[0] - 0.05, jaw[1] + float(place))
        field = field + 0.3 * ellipse(tooth, (0.09, 0.025), 0.3)
    neck = _vertebrae(centre[1], 0.16, 0.12)
    neck[: int(SIDE * 0.7)] = 0
    return np.asarray(np.clip(field, 0, None) + neck, np.float32)


def _jaws(rng: np.random.Generator) -> Field:
    """Teeth: two rows of them in their arches."""
    field = 0.4 + 0.1 * power_law(rng, 1.5)
    for row, bow in ((-1, 0.25), (1, 0.35)):
        for place in np.linspace(-0.8, 0.8, int(rng.integers(5, 17))):
            y = row * 0.18 + 0.2 - bow * place * place
            tooth = (float(y + row * 0.05), float(place))
            field = field + 0.5 * ellipse(tooth, (rng.uniform(0.14, 0.22), 0.05), 0.3)
    arch = [(0.75 - 0.5 * x * x, x) for x in np.linspace(-1, 1, 15)]
    return np.asarray(field + 0.4 * blurred(stroke(arch, 0.25), 3), np.float32)


def _belly(rng: np.random.Generator) -> Field:
    """A plain film of the abdomen: spine, pelvis, gas."""
    field = 0.5 * blob(rng, (0, 0), (1.4, 1.0), 0.05, 0.1) + _vertebrae(0, 0.26, 0.14)
    for side in (-1, 1):
        field = field + 0.4 * ellipse((0.8, side * 0.5), (0.4, 0.35), 0.3)
    for _ in range(int(rng.integers(4, 20))):
        centre = (rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.7))
        size = (rng.uniform(0.04, 0.2), rng.uniform(0.04, 0.2))
        field = field - 0.25 * blob(rng, centre, size, 0.3, 0.3)
    return np.asarray(np.clip(field, 0, None), np.float32)


def _branch(
    field: Field, rng: np.random.Generator, start: Point, angle: float, width: float, depth: int
) -> None:
    if depth > 4 or width < 0.01:
        return
    points, heading = [start], angle
    for _ in range(6):
        heading += rng.normal(0, 0.25)
        points.append(points[-1] + 0.1 * np.array([np.sin(heading), np.cos(heading)]))
    field -= 0.35 * stroke(points, width)
    for turn in (-0.5, 0.5):
        ahead = heading + turn * rng.uniform(0.5, 1.5)
        _branch(field, rng, points[-1], ahead, width * 0.7, depth + 1)
