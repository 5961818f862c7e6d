"""Files of very many pieces: refused after a moment, where Pillow would work for half a minute."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from shared.imaging.decode import decode
from shared.imaging.memory_estimate import has_several_scans
from shared.imaging.rationed_file import RationedFile, RationUsedUp
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode

GREY = Image.fromarray(PHANTOM)
JPEG = encode(GREY, "JPEG")
PNG = encode(GREY, "PNG")
PNG_HEADER = 33  # signature and IHDR


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def tiff(rows: int, offset_step: int) -> bytes:
    """An uncompressed TIFF, 64 pixels wide, of a strip a row."""
    offsets = 8 + 2 + 12 * 8 + 4
    pixels = offsets + 4 * rows
    entries = [
        (256, 4, 1, 64),
        (257, 4, 1, rows),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, rows, offsets),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
    ]
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    data += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    data += struct.pack(f"<{rows}I", *(pixels + offset_step * row for row in range(rows)))
    return data + bytes(64 * rows)


def fails_for_its_pieces(data: bytes) -> None:
    with pytest.raises(ImageRefused) as caught:
        decode(data)
    assert caught.value.reason == "corrupt"
    assert "pieces" in caught.value.detail


@pytest.mark.parametrize(
    "unit",
    [
        b"\xff",
        b"\0",
        b"\xff\0",
        b"\xff\xd0",
        segment(0xE5, b""),
        segment(0xFE, b""),
        segment(0xE1, b"Exif\0\0" + bytes(100)),
    ],
    ids=["fill", "zeros", "escaped", "restarts", "APP5", "comments", "EXIF"],
)
def test_a_jpeg_with_very_many_pieces_before_its_scan_is_refused(unit: bytes) -> None:
    assert JPEG[20] == 0xFF, "the first segment, JFIF, ends before it"
    fails_for_its_pieces(JPEG[:20] + unit * 3000 + JPEG[20:])


@pytest.mark.parametrize("at", [PNG_HEADER, -12], ids=["before", "after"])
def test_a_png_of_very_many_chunks_is_refused(at: int) -> None:
    fails_for_its_pieces(PNG[:at] + chunk(b"abCd") * 60_000 + PNG[at:])


def test_a_tiff_of_very_many_strips_is_refused() -> None:
    fails_for_its_pieces(tiff(70_000, 64))


def test_a_tiff_whose_strips_lie_over_each_other_is_refused() -> None:
    fails_for_its_pieces(tiff(1000, 0))


def test_what_is_long_for_a_reason_is_read() -> None:
    long = segment(0xE2, bytes(65_000)) * 60
    np.testing.assert_array_equal(decode(JPEG[:2] + long + JPEG[2:]), decode(JPEG))
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PHANTOM))
    pieces = b"".join(chunk(b"IDAT", rows[at : at + 8]) for at in range(0, len(rows), 8))
    np.testing.assert_array_equal(decode(PNG[:PNG_HEADER] + pieces + chunk(b"IEND")), PHANTOM)
    assert decode(tiff(10_000, 64)).shape == (10_000, 64)


def test_a_scan_is_not_looked_for_without_end() -> None:
    """Pillow does not skip what follows an end of image, so finds the scan that is hidden there."""
    scan = JPEG.index(b"\xff\xda")
    hiding = segment(0xD9, JPEG[2 : scan + 20])
    data = JPEG[:2] + hiding + b"\xff" * 100_000 + JPEG[scan:]
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    assert has_several_scans(image, data), "and so is taken for the costlier of the two"


def test_a_ration_is_of_reads_and_of_bytes() -> None:
    file = RationedFile(b"abc", reads=3)
    assert [file.read(1), file.read(), file.read()] == [b"a", b"bc", b""]
    with pytest.raises(RationUsedUp):
        file.read()
    file = RationedFile(b"abc", reads=100)
    for _ in range(4):
        file.seek(0)
        assert file.read() == b"abc"
    file.seek(0)
    with pytest.raises(RationUsedUp):
        file.read(1)
