"""Every accepted kind of file decodes to the same picture."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.imaging.decode import decode, open_image
from shared.imaging.limits import MAX_PIXELS
from shared.preprocessing import resize
from tests.shared.imaging.pictures import (
    PHANTOM,
    encode,
    every_format,
    mpo,
    png_rgb16,
    tiff16,
    with_orientation,
)

FILES = every_format()


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference, in grey levels."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("kind", FILES)
def test_every_format_shows_the_same_picture(kind: str) -> None:
    grey = decode(FILES[kind], shortest_side=0)
    assert grey.dtype == np.uint8
    assert difference(grey, PHANTOM) < 1.5


@pytest.mark.parametrize("kind", FILES)
def test_header_agrees_with_the_picture(kind: str) -> None:
    header = open_image(FILES[kind])
    assert (header.height, header.width) == PHANTOM.shape
    assert header.format == {"MPO": "JPEG"}.get(
        kind.split("-")[0].upper(), kind.split("-")[0].upper()
    )
    assert header.decoded_bytes >= PHANTOM.size


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(file_format: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(PHANTOM)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    assert difference(decode(with_orientation(stored, file_format, orientation)), PHANTOM) < 4


def test_first_frame_of_a_phones_jpeg_counts() -> None:
    first = Image.fromarray(PHANTOM).convert("RGB")
    data = mpo(first, Image.new("RGB", (999, 777), "white"))
    assert open_image(data).width == first.width
    assert difference(decode(data), PHANTOM) < 4


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_deep_pixels_keep_the_highest_eight_bits_in_use(file_format: str, bits: int) -> None:
    deep = PHANTOM.astype(np.uint16) << (bits - 8)
    np.testing.assert_array_equal(decode(encode(deep, file_format)), PHANTOM)


def test_full_range_16_bit() -> None:
    deep = np.round(PHANTOM.astype(float) * 65535 / 255).astype(np.uint16)
    np.testing.assert_array_equal(decode(encode(deep, "PNG")), PHANTOM)


def test_eight_bits_in_sixteen_are_left_as_they_are() -> None:
    np.testing.assert_array_equal(decode(encode(PHANTOM.astype(np.uint16), "PNG")), PHANTOM)


def test_a_burnt_in_mark_does_not_turn_twelve_bits_black() -> None:
    deep = PHANTOM.astype(np.uint16) << 4
    deep[2:5, 2:5] = 65535
    grey = decode(encode(deep, "PNG"))
    np.testing.assert_array_equal(grey[8:], PHANTOM[8:])
    assert (grey[2:5, 2:5] == 255).all()


def test_white_is_zero_is_inverted() -> None:
    stored = (255 - PHANTOM).astype(np.uint16) << np.uint16(8)
    np.testing.assert_array_equal(decode(tiff16(stored | np.uint16(0xFF), photometric=0)), PHANTOM)
    np.testing.assert_array_equal(
        decode(encode(255 - PHANTOM, "TIFF", tiffinfo={262: 0})), 255 - PHANTOM
    )


def test_signed_pixels_start_at_the_lowest() -> None:
    signed = PHANTOM.astype(np.int32) * 16 - 1024
    signed[0, 0] = -1024
    expected = PHANTOM.copy()
    expected[0, 0] = 0
    np.testing.assert_array_equal(decode(encode(signed, "TIFF")), expected)


@pytest.mark.parametrize("highest", [1.0, 255.0, 4095.0, 1e6])
def test_real_numbers_with_holes(highest: float) -> None:
    real = PHANTOM.astype(np.float32) * np.float32(highest / 255)
    real[0, :3] = (np.nan, np.inf, -np.inf)
    real[0, 3] = highest
    grey = decode(encode(real, "TIFF"))
    assert (grey[0, :3] == 0).all()
    assert difference(grey[1:], PHANTOM[1:]) < 1


def test_sixteen_bit_colours_that_use_twelve_are_not_black() -> None:
    twelve = PHANTOM.astype(np.uint16) << np.uint16(4)
    assert difference(decode(png_rgb16(twelve)), PHANTOM) < 16


def test_transparent_parts_are_black_and_half_transparent_ones_half() -> None:
    rgba = Image.fromarray(np.full((80, 80), 200, np.uint8)).convert("RGBA")
    alpha = np.full((80, 80), 255, np.uint8)
    alpha[:20], alpha[20:40] = 0, 128
    rgba.putalpha(Image.fromarray(alpha))
    grey = decode(encode(rgba, "PNG"))
    assert (grey[0, 0], grey[79, 0]) == (0, 200)
    assert abs(int(grey[30, 0]) - 100) <= 1


def test_an_alpha_channel_of_zeros_hides_nothing() -> None:
    rgba = Image.fromarray(PHANTOM).convert("RGBA")
    rgba.putalpha(0)
    np.testing.assert_array_equal(decode(encode(rgba, "PNG")), PHANTOM)


def test_one_bit_pictures_are_black_and_white() -> None:
    grey = decode(encode(Image.fromarray(PHANTOM).convert("1"), "PNG"))
    assert set(np.unique(grey)) == {0, 255}


def test_lab_keeps_its_lightness() -> None:
    lightness = Image.fromarray(PHANTOM)
    neutral = Image.new("L", lightness.size, 128)
    lab = Image.merge("LAB", (lightness, neutral, neutral))
    np.testing.assert_array_equal(decode(encode(lab, "TIFF")), PHANTOM)


def test_a_jpeg_is_reduced_but_never_below_the_shortest_side() -> None:
    large = np.asarray(Image.fromarray(PHANTOM).resize((2000, 1600)))
    data = encode(large, "JPEG", quality=90)
    assert decode(data, shortest_side=0).shape == (1600, 2000)
    assert decode(data).shape == (800, 1000)
    assert decode(data, shortest_side=400).shape == (400, 500)
    assert decode(data, shortest_side=801).shape == (1600, 2000)
    assert difference(resize(decode(data)), resize(decode(data, shortest_side=0))) < 0.5


def test_a_second_page_that_is_a_thumbnail_is_no_matter() -> None:
    grey = Image.fromarray(PHANTOM)
    thumbnail = grey.resize((64, 64))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    data = encode(grey, "TIFF", save_all=True, append_images=[thumbnail])
    np.testing.assert_array_equal(decode(data), PHANTOM)


def test_damaged_metadata_does_not_matter() -> None:
    data = with_orientation(Image.fromarray(PHANTOM), "JPEG", 6)
    start = data.index(b"Exif\0\0") + 6
    broken = data[:start] + b"\xff" * 16 + data[start + 16 :]
    assert decode(broken).shape == PHANTOM.shape


@pytest.mark.parametrize("tail", [b"\0" * 1000, b"PK\x03\x04 an archive", b"<script>x</script>"])
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "bmp"])
def test_what_follows_the_picture_is_not_looked_at(kind: str, tail: bytes) -> None:
    np.testing.assert_array_equal(decode(FILES[kind] + tail), decode(FILES[kind]))


def test_the_limit_of_pixels_itself_is_accepted() -> None:
    side = 6324
    assert side * side <= MAX_PIXELS
    assert decode(encode(Image.new("L", (side, side), 9), "JPEG")).shape == (791, 791)


def test_real_originals_match_their_published_copies(xray_data: Path) -> None:
    originals = sorted((xray_data / "full_resolution").rglob("*.jpeg"))[::6]
    reduced, full = [], []
    for original in originals:
        path = xray_data / "chest_xray" / "train" / original.parent.name / original.name
        copy, data = decode(path.read_bytes()), original.read_bytes()
        reduced.append(difference(resize(decode(data)), copy))
        full.append(difference(resize(decode(data, shortest_side=0)), copy))
    # The copies are JPEGs again, which alone changes them by more than a grey level.
    assert max(reduced) < 3
    assert np.mean(reduced) - np.mean(full) < 0.1
