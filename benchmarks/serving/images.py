"""The two images of the benchmark: a large original and a small one."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.inputs import originals
from benchmarks.serving.load import form_with
from tests.phantoms import chest_phantom

WANTED = {"large": (558_000, (1256, 1624)), "small": (70_000, (784, 1280))}
"""Bytes, height and width of typical originals."""


@dataclass(frozen=True)
class Sample:
    """An image to send.

    Attributes:
        name: large or small.
        path: Its file.
        form: The body of a multipart upload of it.
        size: Bytes.
        width: Pixels.
        height: Pixels.
    """

    name: str
    path: Path
    form: Path
    size: int
    width: int
    height: int


def samples(folder: Path) -> list[Sample]:
    """The images nearest to what is wanted: real originals where there are any, else phantoms."""
    found, there = [], originals()
    for name, (size, shape) in WANTED.items():
        if there:
            path = min(there, key=lambda path: abs(path.stat().st_size - size))
        else:
            path = folder / f"{name}.jpeg"
            phantom = chest_phantom(np.random.default_rng(0), pneumonia=True, size=shape)
            path.write_bytes(nearest_jpeg(phantom, size))
        with Image.open(path) as image:
            width, height = image.size
        form = form_with(path.read_bytes(), folder / f"{name}.form")
        found.append(Sample(name, path, form, path.stat().st_size, width, height))
    return found


def nearest_jpeg(pixels: NDArray[np.uint8], size: int) -> bytes:
    """An image as JPEG, at the quality that brings it closest to a number of bytes."""
    encoded = []
    for quality in range(30, 101, 2):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        encoded.append(buffer.getvalue())
    return min(encoded, key=lambda data: abs(len(data) - size))
