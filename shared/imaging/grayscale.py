"""Pixels of any type to 8-bit grey."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

# TIFF 6.0, section 8: BitsPerSample, PhotometricInterpretation; 0 is WhiteIsZero.
_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0


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
        image: A loaded image of any mode. Its pixels are freed, unless it is returned itself.
        deep: Whether it was stored with more than 8 bits a channel.

    Returns:
        An image of mode "L": 0 is black.

    Raises:
        ValueError: The mode cannot be converted.
    """
    if image.mode == "L":
        return image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return Image.fromarray(_highest_bits(image))
    grey = _without_colour(image)
    image.close()
    if deep:
        # Pillow keeps the upper byte of 16-bit colours: what is used of that, at full range.
        _, brightest = grey.getextrema()
        unused = 8 - max(int(brightest), 1).bit_length()  # type: ignore[arg-type]
        if unused > 0:
            return grey.point(lambda value: value << unused)
    return grey


def _without_colour(image: Image.Image) -> Image.Image:
    """Turn 8 bits a channel into grey; what is transparent becomes black."""
    if image.mode == "LAB":
        return image.getchannel("L")
    if "transparency" in image.info or image.mode in {"PA", "La", "RGBa"}:
        image = image.convert("RGBA")
    if image.mode in {"LA", "RGBA"}:
        return _over_black(image)
    if image.mode in {"CMYK", "YCbCr", "HSV"}:
        image = image.convert("RGB")
    return image.convert("L")


def _over_black(image: Image.Image) -> Image.Image:
    """Turn an image with an alpha channel into grey, on black."""
    lowest, highest = image.getchannel("A").getextrema()
    grey = image.convert("L")
    # Some viewers write an alpha channel of zeros by mistake: it hides nothing.
    if lowest != 255 and highest != 0:
        grey.paste(0, mask=image.getchannel("A").point(lambda value: 255 - value))
    return grey


def _highest_bits(image: ImageFile) -> NDArray[np.uint8]:
    """Keep the highest eight of the bits that the pixels use; (H, W) uint8, 0 is black."""
    pixels: NDArray[Any] = np.array(image)
    # Pillow inverts 8-bit images whose zero is white, and leaves deeper ones.
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    image.close()
    if pixels.dtype.kind == "f":
        pixels = _integers(pixels)
    elif pixels.dtype.kind == "i":
        # Signed: start at the lowest value. Unsigned subtraction is right modulo 2³².
        lowest = min(int(pixels.min()), 0)
        pixels = pixels.astype(np.int32).view(np.uint32)
        pixels -= np.uint32(lowest % 2**32)
    pixels >>= max(_bits_in_use(pixels) - 8, 0)
    eight: NDArray[np.uint8] = np.minimum(pixels, 255, out=pixels).astype(np.uint8)
    return np.subtract(255, eight, out=eight) if inverted else eight


def _integers(pixels: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Bring real numbers into 16 bits; those in [0, 1] use the whole range."""
    np.nan_to_num(pixels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    pixels -= min(float(pixels.min()), 0.0)
    highest = float(pixels.max())
    if highest <= 1:
        pixels *= 65535
    elif highest > 65535:
        pixels *= 65535 / highest
    return pixels.astype(np.uint16)


def _bits_in_use(pixels: NDArray[Any]) -> int:
    """Bits of the brightest pixel; of the 99.9th percentile where that is far darker.

    A mark burnt in at the format's maximum must not turn the picture black.
    """
    brightest = int(pixels.max()).bit_length()
    step = max(1, math.isqrt(pixels.size // 1_000_000))
    usual = int(np.percentile(pixels[::step, ::step], 99.9)).bit_length()
    return brightest if brightest - usual < 2 else usual
