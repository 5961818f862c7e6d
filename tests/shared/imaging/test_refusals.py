"""What is no single picture of a fitting size is refused, with a reason and a remedy."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from shared.imaging.decode import decode, open_image
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode, every_format, png_header

GREY = Image.fromarray(PHANTOM)


def refused(data: bytes) -> ImageRefused:
    """Have an image refused from its header alone."""
    with pytest.raises(ImageRefused) as caught:
        open_image(data)
    with pytest.raises(ImageRefused) as again:
        decode(data)
    assert caught.value.reason == again.value.reason
    assert caught.value.detail == str(caught.value)
    return caught.value


def test_empty() -> None:
    assert refused(b"").reason == "empty"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encode(GREY, "GIF"), "GIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (b"data:image/png;base64,iVBORw0KGgo=", "base64"),
        ("Röntgenbild, 12.3.".encode(), "text file"),
        (b"name,value\n" + "é".encode() * 2000, "text file"),
        (b"PK\x03\x04" + bytes(50), "ZIP"),
        (gzip.compress(b"image", mtime=0), "gzip"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(50), "AVIF"),
        (b"\0\0\0\x18ftypisom" + bytes(50), "video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "unknown kind (16 bytes)"),
        (b"\x7fELF" + bytes(range(256)), "unknown kind (260 bytes)"),
        (b"\x89PN", "unknown kind (3 bytes)"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    refusal = refused(data)
    assert refusal.reason == "unsupported_format"
    assert name in refusal.detail
    assert "PNG" in refusal.detail


def test_an_animated_gif_is_a_gif() -> None:
    frames = [Image.new("L", (100, 100), grey) for grey in (0, 90)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert refused(data).reason == "unsupported_format"


@pytest.mark.parametrize(
    "data",
    [
        bytes(128) + b"DICM\x02\0\0\0UL\x04\0" + bytes(100),
        b"II*\0" + bytes(124) + b"DICM\x02\0\0\0UL\x04\0" + bytes(100),
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(100),
    ],
    ids=["preamble", "TIFF as preamble", "no preamble"],
)
def test_what_only_begins_like_dicom_is_named(data: bytes) -> None:
    refusal = refused(data)
    assert refusal.reason == "corrupt"
    assert "DICOM" in refusal.detail


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_several_pictures(file_format: str) -> None:
    frames = [Image.new("RGB", (100, 100), (grey, 0, 0)) for grey in (0, 90, 200)]
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
    refusal = refused(data)
    assert refusal.reason == "animated"
    assert file_format in refusal.detail


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("size", [(63, 500), (500, 63), (1, 1)])
def test_too_small(file_format: str, size: tuple[int, int]) -> None:
    refusal = refused(encode(Image.new("L", size), file_format))
    assert refusal.reason == "too_small"
    assert f"{size[0]} × {size[1]}" in refusal.detail


def test_the_smallest_size_itself_is_accepted() -> None:
    assert decode(encode(Image.new("L", (64, 64)), "PNG")).shape == (64, 64)


@pytest.mark.parametrize("size", [(10_000, 6_000), (65_500, 65_500), (2**31 - 1, 2**31 - 1)])
def test_too_large_is_known_from_the_header(size: tuple[int, int]) -> None:
    refusal = refused(png_header(*size))
    assert refusal.reason == "too_large"
    assert "40 million" in refusal.detail


def tiff(width: int, height: int, tags: dict[int, list[int]]) -> bytes:
    """A grey TIFF file, compressed with LZW, of these tags beside the ones that it must have."""
    tags = {256: [width], 257: [height], 258: [8], 259: [5], 262: [1]} | tags
    entries, values = b"", b""
    values_begin = 8 + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            offset = values_begin + len(values)
            values += packed
            packed = struct.pack("<I", offset)
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + values


@pytest.mark.parametrize(
    ("size", "tile"), [((100, 100), (60_000, 60_000)), ((20_000, 64), (16, 100_000))]
)
def test_tiff_tiles_that_are_much_larger_than_the_image_are_refused(
    size: tuple[int, int], tile: tuple[int, int]
) -> None:
    count = -(-size[0] // tile[0])
    tags = {322: [tile[0]], 323: [tile[1]], 324: [8] * count, 325: [10] * count}
    refusal = refused(tiff(*size, tags) + bytes(100))
    assert refusal.reason == "too_large"
    assert "tiles" in refusal.detail


def test_tiff_strips_that_lie_on_each_other_are_refused() -> None:
    """Each would be read anew: a file of a megabyte can have a core work on 60 GB."""
    rows = 20_000
    tags = {273: [8] * rows, 278: [1], 279: [100_000] * rows}
    assert refused(tiff(64, rows, tags) + bytes(100_000)).reason == "corrupt"


def test_a_tiff_of_jpegs_of_very_many_scans_is_refused() -> None:
    plain = Image.new("L", (2000, 2000), 90)

    def of_two(jpeg: bytes) -> bytes:
        tags = {259: [7], 273: [1000, 1000 + len(jpeg)], 278: [2000], 279: [len(jpeg)] * 2}
        return tiff(2000, 4000, tags).ljust(1000, b"\0") + jpeg * 2

    assert decode(of_two(encode(plain, "JPEG"))).shape == (4000, 2000)
    assert decode(encode(plain.convert("RGB"), "TIFF", compression="jpeg")).shape == (2000, 2000)
    jpeg = encode(plain, "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert refused(of_two(jpeg[:-2] + scan * 90 + jpeg[-2:])).reason == "corrupt"


def test_a_tiff_of_a_jpeg_that_is_taller_than_its_strip_is_refused() -> None:
    jpeg = encode(Image.new("L", (2000, 2000), 90), "JPEG")
    tags = {259: [7], 273: [1000], 278: [64], 279: [len(jpeg)]}
    assert refused(tiff(2000, 64, tags).ljust(1000, b"\0") + jpeg).reason == "corrupt"


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    data = encode(GREY, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert decode(data[:-2] + scan * 20 + data[-2:]).shape == PHANTOM.shape
    assert refused(data[:-2] + scan * 200 + data[-2:]).reason == "corrupt"
    large = encode(Image.new("L", (5000, 5000)), "JPEG", progressive=True)
    scan = large[large.rindex(b"\xff\xda") : -2]
    assert open_image(large[:-2] + scan * 10 + large[-2:]).width == 5000
    assert refused(large[:-2] + scan * 20 + large[-2:]).reason == "corrupt", "of 25 megapixels each"


def test_a_png_of_very_much_text_is_refused() -> None:
    text = PngInfo()
    text.add_itxt("usual", "\N{GRINNING FACE}" + "a" * 400_000, zip=True)
    data = encode(GREY, "PNG", pnginfo=text)
    np.testing.assert_array_equal(decode(data), PHANTOM)
    for key in ("and", "more", "of", "it"):
        text.add_itxt(key, "a" * 400_000, zip=True)
    refusal = refused(encode(GREY, "PNG", pnginfo=text))
    assert refusal.reason == "corrupt"
    assert "text" in refusal.detail


@pytest.mark.parametrize(("bits", "compression"), [(8, 1), (4, 2)])
def test_a_bmp_of_run_lengths_is_refused(bits: int, compression: int) -> None:
    rows = b"\xc8\x00\0\0" * 200 + b"\0\1"
    palette = bytes(4 << bits)
    start = 54 + len(palette)
    data = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start)
    data += struct.pack("<IiiHHIIiiII", 40, 200, 200, 1, bits, compression, len(rows), 0, 0, 0, 0)
    refusal = refused(data + palette + rows)
    assert refusal.reason == "unsupported_format"
    assert "BMP" in refusal.detail


def test_a_sequential_jpeg_of_very_many_scans_is_refused() -> None:
    data = encode(GREY.convert("RGB"), "JPEG")
    empty_scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"  # of one component
    header = data[: data.index(b"\xff\xda")]
    assert refused(header + empty_scan * 200 + b"\xff\xd9").reason == "corrupt"


def test_scans_in_what_follows_a_jpeg_are_not_counted() -> None:
    data = encode(GREY.convert("RGB"), "JPEG")
    assert decode(data + b"\xff\xda" * 200).shape == PHANTOM.shape


def test_a_jpeg_of_twelve_bits_is_named() -> None:
    data = bytearray(encode(GREY, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    refusal = refused(bytes(data))
    assert refusal.reason == "unsupported_format"
    assert "8 bits" in refusal.detail


@pytest.mark.parametrize("kind", every_format())
def test_half_a_file_is_refused_as_cut_off_or_damaged(kind: str) -> None:
    data = every_format()[kind]
    if kind == "mpo":  # its first frame is the first half
        data = data[: len(data) // 2]
    with pytest.raises(ImageRefused) as caught:
        decode(data[: len(data) // 2])
    assert caught.value.reason in {"truncated", "corrupt"}


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff-lzw", "webp", "bmp"])
def test_every_cut_is_refused_or_harmless(kind: str) -> None:
    data = every_format()[kind]
    for end in np.linspace(1, len(data) - 1, 60).astype(int):
        try:
            assert decode(data[:end]).shape == PHANTOM.shape
        except ImageRefused as refusal:
            assert refusal.detail


def test_a_truncated_jpeg_is_called_that() -> None:
    data = encode(GREY, "JPEG")
    with pytest.raises(ImageRefused) as caught:
        decode(data[: len(data) * 3 // 4])
    assert caught.value.reason == "truncated"
    assert "whole file" in caught.value.detail


def test_running_out_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("shared.imaging.decode.to_grey", exhausted)
    with pytest.raises(ImageRefused) as caught:
        decode(encode(GREY, "PNG"))
    assert caught.value.reason == "too_large"


def test_no_detail_repeats_content_of_the_file() -> None:
    for data in (b"PATIENT^NAME some text", b"%PDF PATIENT^NAME", b"\xff\xd8\xffPATIENT^NAME"):
        with pytest.raises(ImageRefused) as caught:
            decode(data)
        assert "PATIENT" not in caught.value.detail


@pytest.mark.parametrize(
    ("compression", "name"), [(34712, "JPEG 2000"), (50001, "WebP"), (34887, "LERC")]
)
def test_a_tiff_of_a_compression_that_is_not_read_is_named(compression: int, name: str) -> None:
    refusal = refused(tiff(100, 100, {259: [compression], 273: [8], 279: [100]}) + bytes(100))
    assert refusal.reason == "unsupported_format"
    assert f"compressed with {name}" in refusal.detail


@pytest.mark.parametrize("bits", [16, 64])
def test_a_tiff_of_numbers_that_are_not_read_is_named(bits: int) -> None:
    tags = {258: [bits], 259: [1], 273: [8], 279: [100], 339: [3]}
    refusal = refused(tiff(100, 100, tags) + bytes(100))
    assert refusal.reason == "unsupported_format"
    assert f"{bits} bits" in refusal.detail


def with_second_page(tags: dict[int, list[int]]) -> bytes:
    """A TIFF of the phantom, and a second page of these tags."""
    first = bytearray(encode(GREY, "TIFF"))
    directory = int.from_bytes(first[4:8], "little")
    count = int.from_bytes(first[directory : directory + 2], "little")
    link = directory + 2 + 12 * count
    second = tiff(100, 100, tags)
    at = len(first) + len(first) % 2
    first[link : link + 4] = at.to_bytes(4, "little")
    return bytes(first).ljust(at, b"\0") + second[8:] + bytes(200)


def test_a_second_page_that_cannot_be_read_does_not_condemn_the_first() -> None:
    data = with_second_page({259: [34712], 273: [8], 279: [100]})
    np.testing.assert_array_equal(decode(data), PHANTOM)


def test_a_mask_of_the_first_page_is_no_second_picture() -> None:
    data = with_second_page({254: [4], 258: [1], 259: [1], 262: [4], 273: [8], 279: [100]})
    np.testing.assert_array_equal(decode(data), PHANTOM)


def test_a_second_picture_is_one() -> None:
    data = with_second_page({259: [1], 273: [8], 279: [10_000]}) + bytes(10_000)
    assert refused(data).reason == "animated"
