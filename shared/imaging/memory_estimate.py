"""How much memory decoding will take, known from an image's header.

A service shares a budget of memory among its requests, and takes on what fits: 40 megapixels of
baseline JPEG cost a few megabytes, of WebP 640. The figures are measured peaks, rounded up.
"""

from typing import Final

from PIL import JpegImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, ROWSPERSTRIP, SAMPLESPERPIXEL, TILELENGTH, TILEWIDTH

from shared.imaging.jpeg import first_scan_components

# Bytes a pixel from loading an image to its grey array, by Pillow's mode; colours are stored in 4.
_PER_PIXEL: Final = {"1": 3, "L": 3, "P": 3, "RGB": 5, "LAB": 5, "LA": 7, "RGBA": 7} | {
    "I": 13,
    "F": 13,
}
_DEEP: Final = 7  # 16 bits
_OTHER: Final = 9  # by way of RGB or RGBA
_WEBP: Final = 17  # two canvases, the frame and its copy, four bytes each
_FIXED: Final = 500_000  # rows in flight and tables

BLOCK: Final = 4 * 1024 * 1024
"""Bytes of a file that the decoder takes at once. Pillow's own 64 KiB have a thread ask for the
interpreter again and again in the midst of an image, and wait for it each time."""


def decoded_bytes(image: ImageFile, data: bytes, shortest_side: int) -> int:
    """Estimate the memory that decoding adds at its peak.

    Args:
        image: An image that is opened, but not loaded.
        data: The file's bytes.
        shortest_side: As for `shared.imaging.decode.decode`, pixels.

    Returns:
        Bytes.
    """
    return _FIXED + 2 * min(len(data), BLOCK) + _pixels(image, data, shortest_side)


def _pixels(image: ImageFile, data: bytes, shortest_side: int) -> int:
    """Bytes that the pixels take, at all the stages that are in memory at once."""
    width, height = image.size
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # Decoded straight to grey, and reduced; but a file whose components or precision come in
        # several scans needs all of its coefficients, two bytes each, before the first pixel.
        by = _reduction(width, height, shortest_side)
        pixels = -(-width // by) * -(-height // by)
        per_pixel = _OTHER if image.mode == "CMYK" else _PER_PIXEL["L"]
        return pixels * per_pixel + _coefficients(image, data) * 2
    if isinstance(image, WebPImagePlugin.WebPImageFile):
        return width * height * _WEBP
    piece = _tiff_piece(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else 0
    return width * height * _per_pixel(image) + piece


def _tiff_piece(image: TiffImagePlugin.TiffImageFile) -> int:
    """Bytes of a compressed TIFF's strip or tile (TIFF 6.0, sections 8 and 15).

    Each is decoded whole, and a tile may be far larger than the image.
    """
    if image.tile[0].codec_name != "libtiff":
        return 0
    tags = image.tag_v2
    if TILEWIDTH in tags:
        pixels = int(tags[TILEWIDTH]) * int(tags[TILELENGTH])
    else:
        pixels = image.width * min(int(tags.get(ROWSPERSTRIP, image.height)), image.height)
    bits = int(tags.get(SAMPLESPERPIXEL, 1)) * int(max(tags.get(BITSPERSAMPLE, (8,))))
    return pixels * max(4, -(-bits // 8))  # colours of JPEG come out in 4


def has_several_scans(image: JpegImagePlugin.JpegImageFile, data: bytes) -> bool:
    """Whether the decoder goes through all the scans of a JPEG before it gives the first pixel.

    A sequential scan of all of a frame's components (ITU-T T.81, B.2.3) is decoded as it is read,
    and what follows it is not looked at.
    """
    return "progressive" in image.info or first_scan_components(data) != len(image.layer)


def _per_pixel(image: ImageFile) -> int:
    if image.mode.startswith("I;16"):
        return _DEEP
    if image.mode == "P" and "transparency" in image.info:
        return _OTHER
    return _PER_PIXEL.get(image.mode, _OTHER)


def _reduction(width: int, height: int, shortest_side: int) -> int:
    """Factor by which `draft` lets the JPEG decoder shrink the image."""
    if shortest_side <= 0:
        return 1
    most = min(width, height) // shortest_side
    return next((by for by in (8, 4, 2) if most >= by), 1)


def _coefficients(image: JpegImagePlugin.JpegImageFile, data: bytes) -> int:
    """Coefficients that the decoder must hold at once; 0 if it works row by row.

    ITU-T T.81, A.1.1: a frame's components have sampling factors.
    """
    if not has_several_scans(image, data):
        return 0
    most_h = max(h for _, h, _, _ in image.layer)
    most_v = max(v for _, _, v, _ in image.layer)
    samples = sum(h * v for _, h, v, _ in image.layer)
    return int(image.width * image.height * samples / (most_h * most_v))
