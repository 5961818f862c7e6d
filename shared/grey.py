"""Pixels of any type to 8-bit grey."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

# TIFF 6.0, section 8: PhotometricInterpretation 0 is WhiteIsZero.
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_BITS_PER_SAMPLE: Final = 258


def bits_per_channel(image: ImageFile) -> int:
    """Bits of a channel as stored in the file; `image` is opened, but not loaded yet."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        rawmode = str(image.tile[0][3]) if image.tile else ""
        return 16 if ";16" in rawmode else 8
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))))
    return 8


def to_grey(image: ImageFile, deep: bool) -> Image.Image:
    """Reduce a loaded image to 8-bit grey.

    Colours become luma (ITU-R BT.601), transparent parts black. Of more than 8 bits, the highest
    eight that the pixels use are kept.

    Args:
        image: A loaded image of any mode.
        deep: Whether it was stored with more than 8 bits a channel.

    Returns:
        An image of mode "L": 0 is black.

    Raises:
        ValueError: The mode cannot be converted.
    """
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _from_deep(image)
    grey = _from_shallow(image)
    if deep:
        # Pillow keeps the upper byte of 16-bit colours: what is used of that, at full range.
        unused = 8 - max(int(grey.getextrema()[1]), 1).bit_length()  # type: ignore[arg-type]
        if unused > 0:
            return grey.point(lambda value: value << unused)
    return grey


def _from_shallow(image: Image.Image) -> Image.Image:
    """Turn 8 bits a channel into grey; what is transparent becomes black."""
    if image.mode == "LAB":
        return image.getchannel("L")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in {"LA", "RGBA", "PA", "La", "RGBa"}:
        if image.mode not in {"LA", "RGBA"}:
            image = image.convert("RGBA")
        alpha = image.getchannel("A")
        grey = image.convert("L")
        # Some viewers write an alpha channel of zeros by mistake: it hides nothing.
        if alpha.getextrema()[1] != 0:
            grey.paste(0, mask=alpha.point(lambda value: 255 - value))
        return grey
    if image.mode in {"CMYK", "YCbCr", "HSV"}:
        image = image.convert("RGB")
    return image.convert("L")


def _from_deep(image: ImageFile) -> Image.Image:
    """Keep the highest eight of the bits that the pixels use."""
    pixels = np.asarray(image)
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(pixels.min()), float(pixels.max())
        if low >= 0 and high <= 1:
            pixels = pixels * 65535.0
        pixels = np.clip(pixels, -(2.0**31), 2.0**31 - 1).astype(np.int64)
    lowest = min(int(pixels.min()), 0)
    if lowest < 0:
        pixels = pixels.astype(np.int64) - lowest
    shift = max(_bits_in_use(pixels) - 8, 0)
    eight = np.minimum(pixels >> shift, 255).astype(np.uint8)
    # Pillow inverts 8-bit images that are stored so, and leaves deeper ones.
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        eight = 255 - eight
    return Image.fromarray(eight)


def _bits_in_use(pixels: NDArray[Any]) -> int:
    """Bits of the brightest pixel; of the 99.9th percentile where that is far darker.

    A mark burnt in at the format's maximum must not turn the picture black.
    """
    brightest = int(pixels.max()).bit_length()
    step = max(1, math.isqrt(pixels.size // 1_000_000))
    usual = int(np.percentile(pixels[::step, ::step], 99.9)).bit_length()
    return brightest if brightest - usual < 2 else usual
