"""How a class activation map is drawn: where its cells lie on the image, and in what colours.

One way for everybody: the report shows what the service shows.
"""

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.preprocessing import INPUT_SIZE

STRENGTH: Final = 0.55
"""How much of the image the strongest evidence covers."""

_STOPS: Final = ((13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))
_POSITIONS: Final = np.linspace(0, len(_STOPS) - 1, 256)

PALETTE: Final[NDArray[np.uint8]] = np.stack(
    [np.interp(_POSITIONS, range(len(_STOPS)), channel) for channel in zip(*_STOPS, strict=True)],
    axis=1,
).astype(np.uint8)
"""(256, 3) RGB for no evidence to the strongest: from blue over red to yellow, in rising lightness,
so that the colour-blind can read it."""

_HALVINGS = 16  # a cell has so many pixels for each pixel of the stem's stride


def covered(cells: int) -> float:
    """The part of a map's side that lies over the image: the last cell may reach beyond its edge.

    Five cells of 48 pixels, for example, are 240 pixels long, and the image has 224.

    Args:
        cells: Height or width of the map, at least 1.

    Returns:
        In (0, 1].
    """
    cell = _HALVINGS * ceil(INPUT_SIZE / (_HALVINGS * cells))
    return INPUT_SIZE / (cell * cells)


def heat_of(activation: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """The positive evidence, scaled to its maximum: 0 to 255 in grey.

    Args:
        activation: (h, w) float32, the map of the pneumonia logit, before ReLU and scaling.
        size: Width and height of the result, in pixels.
    """
    evidence = np.maximum(activation, 0)
    peak = float(evidence.max())
    levels = (evidence * (255 / peak if peak > 0 else 0)).astype(np.uint8)
    height, width = activation.shape
    over_image = (0, 0, width * covered(width), height * covered(height))
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC, over_image)


def coloured(heat: Image.Image) -> Image.Image:
    """Heat in the colours of `PALETTE`, RGB."""
    colours = heat.copy()
    colours.putpalette(PALETTE.tobytes())
    return colours.convert("RGB")


def laid_over(image: Image.Image, activation: NDArray[np.float32]) -> Image.Image:
    """A grey image in RGB under its heat: the stronger that is, the less it shows through."""
    heat = heat_of(activation, image.size)
    strength = heat.point(lambda level: level * STRENGTH)
    return Image.composite(coloured(heat), image.convert("RGB"), strength)
