"""The markers of a JPEG file (ITU-T T.81, annex B), read as the decoder reads them."""

import re
from typing import Final

from shared.imaging.limits import MAX_PIXELS
from shared.imaging.refusal import ImageRefused, RefusalReason

MAX_SCANS: Final = 100
"""Most passes over a JPEG; 10 are usual."""

MAX_SCANNED: Final = 12 * MAX_PIXELS
"""Most pixels of all those passes together; each may cost as much as a whole image."""

END: Final = b"\xff\xd9"

# Table B.1: markers that stand alone, RST, SOI and TEM; 0 is no marker.
_WITHOUT_LENGTH: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
# Table B.1 and ITU-T T.87, C.1.1: frames, by what they are called where they are not read.
_UNREAD_FRAMES: Final = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a lossless JPEG",
    0xCB: "a lossless JPEG",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a lossless JPEG",
    0xF7: "a JPEG-LS image",
}
_FRAMES: Final = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_MOST_MARKERS: Final = 2000
"""Markers to look at, fill bytes included; a file of more was not opened, or hides its scan."""

_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_MOST_SEGMENTS: Final = 20_000

# What stands in for rows that are not there: any bits but those that a decoder makes up itself.
_FILLER: Final = bytes(range(1, 255)) * 16


def frame(data: bytes) -> int:
    """The marker of a JPEG's frame, which tells its kind; 0 if there is none before the scan."""
    for marker, _ in _header(data):
        if marker in _FRAMES:
            return marker
    return 0


def first_scan_components(data: bytes) -> int:
    """Components in a JPEG's first scan (B.2.3); 0 if there is none.

    A file that shows the decoder and this function different scans would take more than its
    estimate of memory.
    """
    for marker, at in _header(data):
        if marker == _START_OF_SCAN:
            return data[at + 4]
    return 0


def check_kind(data: bytes) -> None:
    """Refuse a JPEG of a kind that is not read, by its name.

    Raises:
        ImageRefused: Its frame is lossless, hierarchical, or of JPEG-LS.
    """
    kind = _UNREAD_FRAMES.get(frame(data))
    if kind is not None:
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            f"This is {kind}, which is not read. Export the image as PNG or as an ordinary JPEG "
            "and send that.",
        )


def check_scans(data: bytes, pixels: int) -> None:
    """Refuse a JPEG that has the decoder pass over its picture far too often.

    Args:
        data: A file of several scans.
        pixels: Of its picture.

    Raises:
        ImageRefused: It has more scans than its size allows.
    """
    found = scans(data)
    if found > min(MAX_SCANS, MAX_SCANNED / pixels):
        raise ImageRefused(
            RefusalReason.CORRUPT,
            f"The JPEG has {found} scans, far more than a camera or viewer writes for its size. "
            "Export the image as PNG or baseline JPEG and send that.",
        )


def scans(data: bytes) -> int:
    """Scans up to the end marker: what follows it is no part of the picture."""
    return _walk(data)[0]


def lacks_end(data: bytes) -> bool:
    """Whether the end marker is missing, as some writers leave it out."""
    return not data.endswith(END) and not _walk(data)[1]


def completed(data: bytes) -> tuple[bytes, bytes]:
    """Two ways to end a JPEG that lacks its end marker.

    Where every row is there, both decode alike; where rows are missing, the decoder makes them up
    for the first, and takes filling for them in the second.
    """
    whole = data.removesuffix(b"\xff")
    return whole + END, whole + _FILLER + END


def _header(data: bytes) -> "list[tuple[int, int]]":
    """Markers up to the first scan, each with its place (B.1.1)."""
    found: list[tuple[int, int]] = []
    at = data.find(b"\xff", 2)
    for _ in range(_MOST_MARKERS):
        if not 0 <= at < len(data) - 4:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # fill before a marker
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at = data.find(b"\xff", at + 2)
            continue
        found.append((marker, at))
        if marker == _START_OF_SCAN:
            break
        at = data.find(b"\xff", at + 2 + int.from_bytes(data[at + 2 : at + 4]))
    return found


def _walk(data: bytes) -> tuple[int, bool]:
    """Scans, and whether there is an end marker; too many segments count as too many scans."""
    count, at = 0, 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            return count, False
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            return count, True
        count += marker == _START_OF_SCAN
        at = found.end()
        at += max(2, int.from_bytes(data[at : at + 2]))
    return MAX_SCANS + 1, False
