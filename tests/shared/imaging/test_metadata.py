"""What a file holds beside its picture: little is no matter, much is refused before it is read."""

import io
import struct
import zlib
from typing import cast

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from shared.imaging.decode import decode, open_image
from shared.imaging.metadata import MAX_METADATA
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode

GREY = Image.fromarray(PHANTOM)


def with_profile(file_format: str, length: int) -> bytes:
    options = {"compression": "tiff_lzw"} if file_format == "TIFF" else {}
    profile = np.random.default_rng(1).bytes(length)  # does not get shorter by compression
    if file_format == "PNG":  # its compressed profiles may have a megabyte
        return encode(GREY, "PNG", exif=profile)
    return encode(GREY, file_format, icc_profile=profile, **options)


def refused_for_filling(data: bytes) -> None:
    with pytest.raises(ImageRefused) as caught:
        open_image(data)
    assert caught.value.reason == "corrupt"
    assert "filling" in caught.value.detail


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_more_beside_the_picture_than_any_ordinary_file_has_is_refused(file_format: str) -> None:
    assert decode(with_profile(file_format, MAX_METADATA - 300_000)).shape == PHANTOM.shape
    refused_for_filling(with_profile(file_format, MAX_METADATA + 300_000))


def test_what_comes_after_the_picture_of_a_png_counts_too() -> None:
    data = encode(GREY, "PNG")
    content = bytes(MAX_METADATA + 1)
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + zlib.crc32(content).to_bytes(4)
    refused_for_filling(data[:-12] + chunk + data[-12:])
    assert decode(data + chunk).shape == PHANTOM.shape, "what follows the end is not looked at"


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_a_png_of_very_many_compressed_chunks_is_refused(name: bytes) -> None:
    """Also of damaged ones, of which nothing is kept."""
    content = b"a\0\1\0\0\0damaged" if name == b"iTXt" else b"a\0\0damaged"
    chunk = struct.pack(">I", len(content)) + name + content
    chunk += struct.pack(">I", zlib.crc32(name + content))
    data = encode(GREY, "PNG")
    np.testing.assert_array_equal(decode(data[:33] + chunk * 50 + data[33:]), PHANTOM)
    refused_for_filling(data[:33] + chunk * 200 + data[33:])
    refused_for_filling(data[:-12] + chunk * 200 + data[-12:])


def test_long_lists_of_numbers_are_never_unpacked() -> None:
    """Of a TIFF's tags and of EXIF; Pillow makes a Python number of each."""
    numbers = tuple(range(1000, 61_000)) * 5
    with Image.open(io.BytesIO(encode(GREY, "TIFF", tiffinfo={65000: numbers}))) as image:
        assert 65000 not in cast(TiffImagePlugin.TiffImageFile, image).tag_v2
    exif = Image.Exif()
    exif[65000] = numbers
    exif[65001] = 3
    png = encode(GREY, "PNG", exif=exif.tobytes())
    np.testing.assert_array_equal(decode(png), PHANTOM)
    with Image.open(io.BytesIO(png)) as image:
        assert dict(image.getexif()) == {65001: 3}


def test_the_layers_of_a_drawing_program_are_left_alone() -> None:
    """They hold the picture once more, in a form of their own."""
    data = encode(GREY, "TIFF", tiffinfo={37724: bytes(MAX_METADATA + 1)})
    np.testing.assert_array_equal(decode(data), PHANTOM)


def test_a_long_animation_is_still_called_one() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4, 1200, 1200), np.uint8)
    first, *more = (Image.fromarray(frame) for frame in noise)
    data = encode(first, "PNG", save_all=True, append_images=more)
    assert len(data) > MAX_METADATA
    with pytest.raises(ImageRefused) as caught:
        open_image(data)
    assert caught.value.reason == "animated"
