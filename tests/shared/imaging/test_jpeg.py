"""JPEG files of odd kinds, odd ends, and what follows them."""

import numpy as np
import pytest
from PIL import Image

from shared.imaging import jpeg
from shared.imaging.decode import decode, open_image
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode

GREY = Image.fromarray(PHANTOM)
PLAIN = encode(GREY, "JPEG")
PROGRESSIVE = encode(GREY, "JPEG", progressive=True)


def of_kind(marker: int) -> bytes:
    data = bytearray(PLAIN)
    data[data.index(b"\xff\xc0") + 1] = marker
    return bytes(data)


@pytest.mark.parametrize(
    ("marker", "name"),
    [(0xF7, "a JPEG-LS image"), (0xC3, "a lossless JPEG"), (0xC5, "a hierarchical JPEG")],
)
def test_a_kind_that_is_not_read_is_called_by_its_name(marker: int, name: str) -> None:
    with pytest.raises(ImageRefused, match=name) as caught:
        open_image(of_kind(marker))
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("data", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("end", [b"", b"\xff"], ids=["none", "half"])
def test_an_image_that_lacks_its_end_marker_alone_is_answered(data: bytes, end: bytes) -> None:
    np.testing.assert_array_equal(decode(data[:-2] + end), decode(data))


@pytest.mark.parametrize("data", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("lost", [0.02, 0.3, 0.8])
def test_an_image_that_lacks_rows_is_refused_as_cut_off(data: bytes, lost: float) -> None:
    start = data.index(b"\xff\xda") + 14
    kept = start + int((len(data) - start) * (1 - lost))
    for end in (b"", b"\xff"):
        with pytest.raises(ImageRefused) as caught:
            decode(data[:kept] + end)
        assert caught.value.reason == "truncated"


def test_the_memory_of_an_image_without_an_end_is_counted() -> None:
    whole, endless = open_image(PLAIN), open_image(PLAIN[:-2])
    assert endless.decoded_bytes > whole.decoded_bytes + len(PLAIN)


def test_scans_end_with_the_end_marker() -> None:
    trailer = np.random.default_rng(0).bytes(200_000) + b"\xff\xda" * 300
    assert jpeg.scans(PROGRESSIVE + trailer) == jpeg.scans(PROGRESSIVE)
    assert 1 < jpeg.scans(PROGRESSIVE) < 20
    np.testing.assert_array_equal(decode(PROGRESSIVE + trailer), decode(PROGRESSIVE))


def test_an_end_marker_within_a_segment_hides_no_scans() -> None:
    """A comment between scans may hold any bytes, and the decoder reads on behind it."""
    last = PROGRESSIVE.rindex(b"\xff\xda")
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xd9"
    many = PROGRESSIVE[:last] + comment + PROGRESSIVE[last:-2] * 1
    many += PROGRESSIVE[last:-2] * 200 + b"\xff\xd9"
    with pytest.raises(ImageRefused, match="scans"):
        open_image(many)


def test_more_segments_than_any_file_has_count_as_too_many_scans() -> None:
    filling = b"\xff\xfe\x00\x02" * 25_000
    assert jpeg.scans(PROGRESSIVE[:-2] + filling + b"\xff\xd9") > jpeg.MAX_SCANS


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "BMP"])
def test_a_copy_in_text_mode_is_called_that(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    assert data.count(b"\n") > 16
    with pytest.raises(ImageRefused, match="binary mode"):
        open_image(data.replace(b"\n", b"\r\n"))
