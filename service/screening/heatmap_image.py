"""The heatmap: where in the image the evidence for pneumonia lies, alone or laid over the image.

The map is the class activation map of the pneumonia logit (Zhou et al., "Learning Deep Features for
Discriminative Localization", CVPR 2016), which for a network that ends in global average pooling
and one dense layer is what Grad-CAM gives (Selvaraju et al., ICCV 2017, section 3.1): negative
evidence is cut away and the rest scaled to its maximum.
"""

import io
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.heatmap import PALETTE, heat_of, laid_over

LONGEST_SIDE: Final = 1024
"""An overlay is as large as its image, up to this many pixels along the longer side."""

LAYER_SIDE: Final = 224
"""Pixels of a heatmap alone, along both sides: who shows it stretches it over the image."""

_QUALITY: Final = 85  # of a picture's JPEG
_OPACITY: Final = bytes(range(256))  # of each strength of the evidence


class Drawing(Enum):
    """What to draw of the evidence."""

    LAYER = "the heatmap alone, transparent where nothing speaks for pneumonia"
    OVERLAY = "the heatmap laid over the image"


@dataclass(frozen=True)
class Picture:
    """What was drawn: a heatmap, alone or over its image, or the image alone.

    Attributes:
        data: The file: PNG of a heatmap, JPEG in grey of an image alone.
        width: Its width in pixels.
        height: Its height in pixels.
    """

    data: bytes
    width: int
    height: int


def overlay_size(width: int, height: int) -> tuple[int, int]:
    """The size of an image's overlay: its own, or reduced to 1024 px along the longer side."""
    ratio = min(1.0, LONGEST_SIDE / max(width, height))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def draw_background(grey: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """The image as an overlay shows it: a copy that keeps none of its pixels in memory.

    Args:
        grey: (H, W) uint8, the image, upright.
        size: Width and height of the overlay, in pixels.
    """
    return Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR)


def draw_overlay(background: Image.Image, activation: NDArray[np.float32]) -> Picture:
    """Lays a class activation map over its image.

    Args:
        background: The image, in grey, as large as the overlay.
        activation: (h, w) float32, the map of the pneumonia logit, before ReLU and scaling.

    Returns:
        The overlay. Where no evidence speaks for pneumonia it is the image itself, in grey.
    """
    return _encoded(laid_over(background, activation), "PNG", compress_level=1)


def draw_picture(background: Image.Image) -> Picture:
    """Draws the image alone, for who cannot show the file that it came in.

    Args:
        background: The image, in grey, as large as an overlay.
    """
    return _encoded(background, "JPEG", quality=_QUALITY)


def draw_layer(activation: NDArray[np.float32]) -> Picture:
    """Draws the heatmap alone: small, so that a bad connection carries it.

    Args:
        activation: (h, w) float32, the map of the pneumonia logit, before ReLU and scaling.

    Returns:
        224 x 224, to be stretched over the image; its opacity is the strength of the evidence. A
        palette has the colours: as RGBA it would take four times as long to write.
    """
    heat = heat_of(activation, (LAYER_SIDE, LAYER_SIDE))
    heat.putpalette(PALETTE.tobytes())
    return _encoded(heat, "PNG", transparency=_OPACITY)


def _encoded(drawn: Image.Image, kind: str, **options: int | bytes) -> Picture:
    file = io.BytesIO()
    drawn.save(file, kind, **options)
    return Picture(file.getvalue(), *drawn.size)
