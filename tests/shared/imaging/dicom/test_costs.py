"""DICOM files that are made to cost far more than they are long are refused before they do."""

import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate

from shared.imaging.decode import decode, open_image
from shared.imaging.refusal import ImageRefused
from tests.conftest import ROOT
from tests.shared.imaging.radiographs import DEEP, compressed, radiograph

SECONDS, MEGABYTES = 3.0, 120
"""What refusing may take at most, on a slow machine: none of these files has 20 MB."""


def peak() -> float:
    """Most megabytes that this process has had in memory."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1024 if sys.platform == "linux" else 1024 * 1024)


def refused_cheaply(data: bytes) -> ImageRefused:
    decode(radiograph())  # what is loaded for the first file
    before, start = peak(), time.thread_time()
    with pytest.raises(ImageRefused) as caught:
        decode(data)
    assert time.thread_time() - start < SECONDS
    assert peak() - before < MEGABYTES
    return caught.value


def deflated(dataset: bytes) -> bytes:
    """A file whose data set is these bytes, deflated."""
    whole = radiograph(syntax=uid.DeflatedExplicitVRLittleEndian)
    length = struct.unpack_from("<L", whole, 140)[0]  # PS3.10, 7.1
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[: 144 + length] + packer.compress(dataset) + packer.flush()


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """A data element in explicit VR little endian (PS3.5, 7.1.2)."""
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    length = b"\0\0" + struct.pack("<L", len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + vr + length + value


def test_the_tests_deflate_as_pydicom_does() -> None:
    plain = radiograph(syntax=uid.ExplicitVRLittleEndian)
    length = struct.unpack_from("<L", plain, 140)[0]
    np.testing.assert_array_equal(decode(deflated(plain[144 + length :])), decode(radiograph()))


def test_a_deflated_file_is_inflated_no_further_than_its_pixels() -> None:
    plain = radiograph(syntax=uid.ExplicitVRLittleEndian)
    length = struct.unpack_from("<L", plain, 140)[0]
    bomb = deflated(plain[144 + length :] + element(0xFFFC, 0xFFFC, b"OB", bytes(250_000_000)))
    before = peak()
    np.testing.assert_array_equal(decode(bomb), decode(radiograph()))
    assert peak() - before < MEGABYTES


def test_a_deflated_file_of_endless_headers() -> None:
    bomb = deflated(element(0x0009, 0x1001, b"OB", bytes(250_000_000)))
    assert refused_cheaply(bomb).reason in ("corrupt", "dicom")


def test_a_deflated_file_of_many_attributes() -> None:
    many = element(0x0009, 0x1001, b"LO", b"") * 1_000_000
    assert refused_cheaply(deflated(many)).reason == "corrupt"


@pytest.mark.parametrize(
    "syntax", [uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.RLELossless]
)
def test_a_size_that_the_file_has_not(syntax: uid.UID) -> None:
    claim = radiograph(syntax=syntax, Rows=6000, Columns=6000)
    refusal = refused_cheaply(claim)
    assert refusal.reason == "truncated"
    assert "Rows (0028,0010)" in refusal.detail


def test_run_lengths_of_more_than_the_picture() -> None:
    segment = b"\x81\0" * 2_000_000  # 128 bytes each
    header = struct.pack("<16L", 2, 64, 64 + len(segment), *[0] * 13)
    refusal = refused_cheaply(radiograph(syntax=uid.RLELossless, frame=header + segment + segment))
    assert refusal.reason == "corrupt"


@pytest.mark.parametrize("starts", [(64, 0xFFFFFFFF), (0, 0), (64, 64), (10**6, 64)])
def test_run_lengths_that_are_elsewhere(starts: tuple[int, int]) -> None:
    frame = bytearray(compressed(DEEP, 12, uid.RLELossless))
    struct.pack_into("<2L", frame, 4, *starts)
    try:
        decode(radiograph(syntax=uid.RLELossless, frame=bytes(frame)))
    except ImageRefused as refusal:
        assert refusal.reason in ("corrupt", "truncated")


JPEGS = [
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
]


def frame_header(frame: bytearray) -> int:
    """Where a JPEG's height is."""
    return next(
        frame.index(bytes((0xFF, marker))) + 5
        for marker in (0xC0, 0xC1, 0xC3, 0xF7)
        if bytes((0xFF, marker)) in frame
    )


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_jpeg_of_another_size_than_the_headers_say(syntax: uid.UID) -> None:
    bits, pixels = (8, (DEEP >> 4).astype(np.uint8)) if syntax == JPEGS[0] else (12, DEEP)
    frame = bytearray(compressed(pixels, bits, syntax))
    struct.pack_into(">HH", frame, frame_header(frame), 65500, 65500)
    assert refused_cheaply(radiograph(pixels, bits, syntax, bytes(frame))).reason == "corrupt"


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_jpeg_of_more_scans_than_it_has_components(syntax: uid.UID) -> None:
    bits, pixels = (8, (DEEP >> 4).astype(np.uint8)) if syntax == JPEGS[0] else (12, DEEP)
    frame = compressed(pixels, bits, syntax)
    scan = frame[frame.index(b"\xff\xda") : -2]
    refusal = refused_cheaply(
        radiograph(pixels, bits, syntax, frame[:-2] + scan * 300 + frame[-2:])
    )
    assert refusal.reason == "corrupt"


def test_a_jpeg_that_is_cut_off_anywhere_is_refused_or_read_to_its_end() -> None:
    """In a process of its own: the decoder of JPEG-LS went on for ever without an end marker."""
    code = (
        "from pydicom import uid; from shared.imaging.decode import decode; "
        "from shared.imaging.refusal import ImageRefused; "
        "from tests.shared.imaging.radiographs import DEEP, compressed, radiograph\n"
        "small = DEEP[20:84, 20:84]\n"
        "for syntax in (uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEGLosslessSV1):\n"
        "    frame = compressed(small, 12, syntax)\n"
        "    for length in range(300, len(frame), 23):\n"
        "        try: decode(radiograph(small, 12, syntax, frame[:length]))\n"
        "        except ImageRefused: pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=100)


def test_a_progressive_jpeg_is_none_of_dicoms() -> None:
    frame = compressed((DEEP >> 4).astype(np.uint8), 8, uid.JPEGBaseline8Bit)
    progressive = frame.replace(b"\xff\xc0", b"\xff\xc2")
    data = radiograph(DEEP, 8, uid.JPEGBaseline8Bit, progressive)
    assert refused_cheaply(data).reason in ("corrupt", "truncated")


def codestream(
    size: tuple[int, int] = (160, 200),
    tile: tuple[int, int] | None = None,
    *,
    components: int = 1,
    layers: int = 1,
    levels: int = 0,
    block: int = 4,
    precinct: int | None = None,
    in_tile: bool = False,
    body: bytes = bytes(1000),
) -> bytes:
    """A JPEG 2000 codestream of empty packets (ISO/IEC 15444-1, annex A)."""
    tile = tile or size

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content

    image = struct.pack(">H8IH", 0, size[1], size[0], 0, 0, tile[1], tile[0], 0, 0, components)
    style = struct.pack(
        ">BBHB5B", precinct is not None, 0, layers, 0, levels, block, block, 0, 1
    ) + (b"" if precinct is None else bytes([precinct]) * (levels + 1))
    ordinary = struct.pack(">BBHB5B", 0, 0, 1, 0, 0, 4, 4, 0, 1)
    main = segment(0x51, image + bytes([15, 1, 1]) * components)
    main += segment(0x52, ordinary if in_tile else style)
    main += segment(0x5C, bytes([0x40] + [0x90] * (3 * levels + 1)))
    part = segment(0x52, style) if in_tile else b""
    start = segment(0x90, struct.pack(">HIBB", 0, 14 + len(part) + len(body), 0, 1))
    return b"\xff\x4f" + main + start + part + b"\xff\x93" + body + b"\xff\xd9"


def test_an_ordinary_codestream_is_read() -> None:
    for levels in (0, 5):
        data = radiograph(syntax=uid.JPEG2000Lossless, frame=codestream(levels=levels))
        assert decode(data).shape == DEEP.shape


CODESTREAMS: dict[str, Callable[[], bytes]] = {
    "another size": lambda: codestream((60000, 60000)),
    "several components": lambda: codestream(components=3),
    "tiny precincts": lambda: codestream((3000, 3000), precinct=0),
    "small precincts": lambda: codestream((3000, 3000), precinct=0x22, levels=5),
    "flat precincts": lambda: codestream((3000, 3000), precinct=0x0F),
    "tiny code-blocks": lambda: codestream((6000, 6000), block=0),
    "tiny precincts in a tile": lambda: codestream((3000, 3000), precinct=0, in_tile=True),
    "tiny tiles": lambda: codestream((3000, 3000), (8, 8)),
    "no tiles": lambda: codestream(tile=(0, 0)),
    "many layers": lambda: codestream(layers=65535, body=bytes(1_000_000)),
    "many levels": lambda: codestream(levels=33),
}


@pytest.mark.parametrize("kind", CODESTREAMS)
def test_a_codestream_that_is_made_to_cost(kind: str) -> None:
    frame = CODESTREAMS[kind]()
    sides = (60000,) if kind == "another size" else (3000, 6000)
    side = next((side for side in sides if struct.pack(">II", side, side) in frame), 0)
    shape: dict[str, Any] = {} if side in (0, 60000) else {"Rows": side, "Columns": side}
    refusal = refused_cheaply(radiograph(syntax=uid.JPEG2000, frame=frame, **shape))
    assert refusal.reason == "corrupt"


def test_a_picture_in_many_pieces_is_joined_and_in_far_too_many_refused() -> None:
    frame = compressed(DEEP, 12, uid.JPEGLSLossless)
    frame += bytes(len(frame) % 2)
    joined = encapsulate([frame], fragments_per_frame=40)
    data = radiograph(syntax=uid.JPEGLSLossless, PixelData=joined)
    np.testing.assert_array_equal(decode(data), decode(radiograph()))
    pieces = b"\xfe\xff\0\xe0\0\0\0\0" + b"\xfe\xff\0\xe0\2\0\0\0\0\0" * 500_000
    assert refused_cheaply(radiograph(syntax=uid.JPEGLSLossless, PixelData=pieces)).reason == (
        "corrupt"
    )


def nested(depth: int) -> bytes:
    """Sequences within sequences, of undefined length."""
    begin = struct.pack("<HH", 0x0040, 0xA730) + b"SQ\0\0" + b"\xff" * 4
    return (begin + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * depth


def beginning(*elements: bytes) -> bytes:
    """A radiograph with these elements before its own."""
    whole = radiograph()
    length = struct.unpack_from("<L", whole, 140)[0]
    return whole[: 144 + length] + b"".join(elements) + whole[144 + length :]


HEADERS: dict[str, Callable[[], bytes]] = {
    "deep nesting": lambda: beginning(nested(100_000)),
    "many attributes": lambda: beginning(element(0x0009, 0x1001, b"LO", b"") * 1_000_000),
    "many items": lambda: beginning(
        struct.pack("<HH", 0x0008, 0x1140)
        + b"SQ\0\0\xff\xff\xff\xff"
        + b"\xfe\xff\0\xe0\0\0\0\0" * 1_000_000
    ),
    "a private value of unknown length": lambda: beginning(
        struct.pack("<HH", 0x0009, 0x1001) + b"OB\0\0\xff\xff\xff\xff" + bytes(8_000_000)
    ),
    "many windows": lambda: radiograph(WindowCenter=[1] * 30_000, WindowWidth=[1] * 30_000),
    "a table too long": lambda: radiograph(VOILUTSequence=[lookup(1_000_000)]),
    "many tables": lambda: radiograph(VOILUTSequence=[lookup(10)] * 200),
    "a long modality": lambda: radiograph(
        syntax=uid.ImplicitVRLittleEndian, ImageType=["A"] * 100_000, Modality=["CR"] * 100_000
    ),
}


def lookup(entries: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [entries % 65536, 0, 16])
    item.add_new("LUTData", "OW", bytes(2 * entries))
    return item


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_are_made_to_cost(kind: str) -> None:
    assert refused_cheaply(HEADERS[kind]()).reason == "corrupt"


def test_a_large_detectors_image_fits_in_the_usual_memory() -> None:
    """15 megapixels: 43 × 35 cm at 0.1 mm."""
    for syntax, size in (
        (uid.JPEG2000Lossless, 5_000_000),
        (uid.ExplicitVRLittleEndian, 30_137_600),
    ):
        frame = None if size > 2e7 else bytes(size)
        pixels: dict[str, Any] = {"PixelData": bytes(size)} if frame is None else {}
        data = radiograph(syntax=syntax, frame=frame, Rows=4280, Columns=3520, **pixels)
        assert open_image(data).decoded_bytes <= 128 * 1024 * 1024
