"""Documents, screens, charts, drawings, textures and empty pictures, made in code."""

from __future__ import annotations

import cv2
import numpy as np

from trainer.data.other_images.canvas import SIDE, Field, grid, power_law, speckle, to_size, write


def document(rng: np.random.Generator) -> Field:
    """A page of lines of text, upright or photographed askew."""
    page = np.full((SIDE, SIDE), int(rng.integers(190, 256)), np.uint8)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789 .,-:"))
    size, row, ink = rng.uniform(0.25, 1.0), 0.0, int(rng.integers(0, 100))
    while row < SIDE:
        row += 28 * size + rng.uniform(0, 10)
        text = "".join(rng.choice(letters, int(rng.integers(3, 50))))
        write(page, text, (int(rng.uniform(0, 40)), int(row)), size, ink, int(rng.integers(1, 3)))
    if rng.random() < 0.5:
        centre, angle, scale = (SIDE / 2, SIDE / 2), rng.uniform(-30, 30), rng.uniform(0.6, 1.2)
        turn = cv2.getRotationMatrix2D(centre, angle, scale)
        askew = cv2.warpAffine(page, turn, (SIDE, SIDE), borderValue=rng.uniform(0, 150))
        page = np.asarray(askew, np.uint8)
    return to_size(page)


def chart(rng: np.random.Generator) -> Field:
    """A plot: axes with bars or curves."""
    field = np.full((SIDE, SIDE), rng.choice([1.0, 0.1]), np.float32)
    ink = float(1 - field[0, 0])
    cv2.line(field, (25, 200), (210, 200), ink, 1)
    cv2.line(field, (25, 200), (25, 20), ink, 1)
    values = np.cumsum(rng.normal(0, 14, 20)) + 110
    if rng.random() < 0.5:
        for index, value in enumerate(values[:10]):
            left, top = 32 + 18 * index, int(np.clip(value, 20, 195))
            cv2.rectangle(field, (left, top), (left + 12, 200), rng.uniform(0.2, 0.8), -1)
    else:
        points = np.stack([np.linspace(25, 205, 20), np.clip(values, 20, 200)], 1).astype(np.int32)
        cv2.polylines(field, [points], False, ink, int(rng.integers(1, 4)), cv2.LINE_AA)
    return field


def screen(rng: np.random.Generator) -> Field:
    """A screenshot: panels, buttons, lines of text."""
    canvas = np.full((SIDE, SIDE), int(rng.integers(0, 256)), np.uint8)
    for _ in range(int(rng.integers(4, 14))):
        left, top = rng.integers(0, SIDE - 20, 2).tolist()
        corner = (left + int(rng.integers(15, 160)), top + int(rng.integers(8, 90)))
        level, edge = int(rng.integers(0, 256)), -1 if rng.random() < 0.8 else 1
        cv2.rectangle(canvas, (left, top), corner, level, edge)
        write(canvas, "Menu File 12:30", (left + 4, top + 12), 0.35, int(rng.integers(0, 256)), 1)
    return to_size(canvas)


def shapes(rng: np.random.Generator) -> Field:
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


def leaves(rng: np.random.Generator) -> Field:
    """Dead leaves: discs that cover each other, with the statistics of photographs (Lee et al.,
    IJCV 2001)."""
    field = np.full((SIDE, SIDE), 0.5, np.float32)
    for radius in np.sort(6 / rng.uniform(0.03, 1, int(rng.integers(40, 250))))[::-1]:
        centre, level = tuple(rng.integers(0, SIDE, 2).tolist()), rng.uniform(0, 1)
        if rng.random() < 0.5:
            cv2.circle(field, centre, int(radius), level, -1, cv2.LINE_AA)
        else:
            axes = (int(radius), int(radius * rng.uniform(0.2, 1)) + 1)
            cv2.ellipse(field, centre, axes, rng.uniform(0, 180), 0, 360, level, -1)
    return np.asarray(field + rng.uniform(0, 0.08) * speckle(rng, rng.uniform(0.6, 3)), np.float32)


def clouds(rng: np.random.Generator) -> Field:
    """Noise with a power law over frequency: textures, skies, skin, histology."""
    return 0.5 + 0.25 * power_law(rng, rng.uniform(0, 2.2))


def plain(rng: np.random.Generator) -> Field:
    """Nothing at all, or a gradient: a covered lens, a blank film."""
    y, x = grid()
    slope = rng.uniform(-0.4, 0.4, 2) * (rng.random() < 0.7)
    level = rng.uniform(0, 1) + slope[0] * y + slope[1] * x
    return np.asarray(level + 0.02 * speckle(rng, 1), np.float32)
