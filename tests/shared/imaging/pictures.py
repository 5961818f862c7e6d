"""Files of every kind, made in code, for the tests of decoding."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.phantoms import chest_phantom

PHANTOM = chest_phantom(np.random.default_rng(7), pneumonia=True, size=(160, 200))
"""(160, 200) uint8."""


def encode(image: Image.Image | NDArray[Any], file_format: str, **options: Any) -> bytes:
    """Save an image, or an array, in a format of Pillow's."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, file_format: str, orientation: int) -> bytes:
    """Save an image with the EXIF tag that says how it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, file_format, exif=exif)


def mpo(first: Image.Image, second: Image.Image) -> bytes:
    """Save two frames in one file, as the cameras of phones do."""
    return encode(first, "MPO", save_all=True, append_images=[second])


def tiff16(pixels: NDArray[np.uint16], photometric: int = 1, bits: int = 16) -> bytes:
    """Write an uncompressed little-endian TIFF of 16 bits, or of 12 packed bits, by hand."""
    height, width = pixels.shape
    if bits == 12:
        pairs = pixels.reshape(-1, 2).astype(np.uint32)
        packed = np.stack(
            [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1
        )
        data = packed.astype(np.uint8).tobytes()
    else:
        data = pixels.astype("<u2").tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
    ]
    return _tiff(data, entries)


def tiff_tile(side: int, tile: int) -> bytes:
    """Write a black TIFF of three colours and one compressed tile, even larger than the image."""
    data = zlib.compress(bytes(tile * tile * 3), 1)
    entries = [
        (256, 4, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 8),
        (262, 3, 2),
        (277, 3, 3),
        (322, 4, tile),
        (323, 4, tile),
        (324, 4, 8),
        (325, 4, len(data)),
    ]
    return _tiff(data, entries)


def _tiff(data: bytes, entries: list[tuple[int, int, int]]) -> bytes:
    """Put pixels and the tags that describe them together: tag, type and value."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0\0\0\0"


def png_header(width: int, height: int) -> bytes:
    """Write a PNG that claims a size, and holds next to nothing."""
    return _png(width, height, depth=8, colour=0, rows=bytes(100))


def png_rgb16(pixels: NDArray[np.uint16]) -> bytes:
    """Write a PNG of three equal channels of 16 bits, which Pillow cannot."""
    height, width = pixels.shape
    rows = np.repeat(pixels.astype(">u2")[..., np.newaxis], 3, axis=2)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    return _png(width, height, depth=16, colour=2, rows=lines)


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = zlib.crc32(kind + body)
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    return data


def every_format() -> dict[str, bytes]:
    """One file of every accepted format, and of what differs within it."""
    grey = Image.fromarray(PHANTOM)
    deep = Image.fromarray(PHANTOM.astype(np.uint16) << 4)
    rgb = grey.convert("RGB")
    return {
        "jpeg": encode(grey, "JPEG", quality=95),
        "jpeg-rgb": encode(rgb, "JPEG", quality=95),
        "jpeg-progressive": encode(rgb, "JPEG", quality=95, progressive=True),
        "jpeg-cmyk": encode(rgb.convert("CMYK"), "JPEG", quality=95),
        "jpeg-exif": with_orientation(grey, "JPEG", 1),
        "mpo": mpo(rgb, Image.new("RGB", rgb.size)),
        "png": encode(grey, "PNG"),
        "png-rgb": encode(rgb, "PNG"),
        "png-rgba": encode(grey.convert("RGBA"), "PNG"),
        "png-la": encode(grey.convert("LA"), "PNG"),
        "png-palette": encode(grey.convert("P"), "PNG"),
        "png-palette-transparency": encode(grey.convert("P"), "PNG", transparency=0),
        "png-12-in-16": encode(deep, "PNG"),
        "tiff": encode(grey, "TIFF"),
        "tiff-lzw": encode(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": encode(grey, "TIFF", compression="jpeg"),
        "tiff-cmyk": encode(rgb.convert("CMYK"), "TIFF"),
        "tiff-12-in-16": encode(deep, "TIFF"),
        "tiff-12": tiff16(PHANTOM.astype(np.uint16) << np.uint16(4), bits=12),
        "tiff-32-bit": encode(grey.convert("I"), "TIFF"),
        "tiff-float": encode(PHANTOM.astype(np.float32) / 255, "TIFF"),
        "bmp": encode(grey, "BMP"),
        "bmp-rgb": encode(rgb, "BMP"),
        "webp": encode(rgb, "WEBP", quality=95),
        "webp-lossless": encode(rgb, "WEBP", lossless=True),
        "webp-alpha": encode(grey.convert("RGBA"), "WEBP", lossless=True),
    }
