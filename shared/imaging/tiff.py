"""TIFF files within limits: tags, strips and tiles that cost no more than ordinary ones do."""

import re
from contextlib import suppress
from typing import Final

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    ROWSPERSTRIP,
    SAMPLEFORMAT,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILELENGTH,
    TILEOFFSETS,
    TILEWIDTH,
)

from shared.imaging.limits import MAX_PIXELS, MOST
from shared.imaging.memory_estimate import BLOCK
from shared.imaging.metadata import MAX_METADATA, MAX_PIECES
from shared.imaging.rationed_file import RationUsedUp
from shared.imaging.refusal import ImageRefused, RefusalReason

MAX_TIFF_SCANS: Final = 4
"""Most passes over a JPEG within a TIFF: one for each channel, where there is not one for all."""

MAX_OVERLAP: Final = 16
"""How many times a TIFF's length its strips or tiles may have together. They do not overlap, but
some writers tell lengths from before compression."""

# The start of a JPEG's frame, with its height (ITU-T T.81, B.2.2).
_FRAME: Final = re.compile(
    rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]\0.[\x08\x0c](..)", re.DOTALL
)

# Section 8: a copy of the first picture at a lower resolution, or its mask of transparent parts.
_SUBFILE_TYPE, _BESIDE_THE_PICTURE = 254, 1 | 4

# Compressions that libtiff in Pillow's wheels does not read, by the registered numbers.
_UNREAD: Final = {
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy DNG",
    50001: "WebP",
    50002: "JPEG XL",
}
_FLOAT: Final = 3  # of SampleFormat, section 19


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF file of tags that are not too long, and so of not too many strips or tiles."""

    def _setup(self) -> None:
        if sum(map(len, self.tag_v2._tagdata.values())) > MAX_METADATA:
            raise RationUsedUp
        for tag in (STRIPOFFSETS, STRIPBYTECOUNTS, TILEOFFSETS, TILEBYTECOUNTS):
            if len(self.tag_v2.get(tag, ())) > MAX_PIECES:
                raise RationUsedUp
        _check_kind(self.tag_v2)
        super()._setup()


def holds_several(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether there is a second picture; a reduced copy of the first, or its mask, is no matter.

    Nor is one that cannot be read: the first can.

    Raises:
        RationUsedUp: Its tags are far too many.
    """
    several = False
    with suppress(EOFError):
        try:
            image.seek(1)
            several = not image.tag_v2.get(_SUBFILE_TYPE, 0) & _BESIDE_THE_PICTURE
        except (EOFError, RationUsedUp):
            raise
        except Exception:  # noqa: BLE001 - a page that is not read raises anything
            several = False
    image.seek(0)
    return several


def check_pieces(image: TiffImagePlugin.TiffImageFile, data: bytes) -> None:
    """Refuse a TIFF whose strips or tiles have the decoder do far more than its picture needs.

    Raises:
        ImageRefused: Its tiles are far larger than the picture.
        RationUsedUp: The same bytes would be decoded over and over.
    """
    tiled = _tiled_pixels(image)
    if tiled > 2 * MAX_PIXELS:
        raise ImageRefused(
            RefusalReason.TOO_LARGE,
            f"The tiles of the TIFF file have {tiled / 1e6:.1f} million pixels together; "
            f"{MOST}. Export the image as PNG or JPEG and send that.",
        )
    if image.tile[0].codec_name != "libtiff":
        return  # not compressed: each is read where it is
    tags = image.tag_v2
    offsets = [*tags.get(STRIPOFFSETS, ()), *tags.get(TILEOFFSETS, ())]
    lengths = [*tags.get(STRIPBYTECOUNTS, ()), *tags.get(TILEBYTECOUNTS, ())]
    together = sum(min(length, len(data)) for length in lengths)  # some writers know no length
    of_jpegs = image.info["compression"] in ("jpeg", "tiff_jpeg")
    if together > (2 * len(data) if of_jpegs else MAX_OVERLAP * len(data) + BLOCK):
        raise RationUsedUp
    rows = tags.get(TILELENGTH, min(tags.get(ROWSPERSTRIP, image.height), image.height))
    for offset, length in zip(offsets, lengths, strict=False) if of_jpegs else ():
        piece = data[offset : offset + length]
        heights = [int.from_bytes(found) for found in _FRAME.findall(piece)]
        if piece.count(b"\xff\xda") > MAX_TIFF_SCANS or max(heights, default=0) > rows + 15:
            raise RationUsedUp  # libtiff would decode all of it for the rows that it needs


def _check_kind(tags: TiffImagePlugin.ImageFileDirectory_v2) -> None:
    """Refuse pixels of a kind that is not read, by its name."""
    kind = None
    compression = _UNREAD.get(tags.get(COMPRESSION, 1))
    if compression is not None:
        kind = f"compressed with {compression}"
    bits = max(tags.get(BITSPERSAMPLE, (8,)))
    if _FLOAT in tags.get(SAMPLEFORMAT, (1,)) and bits != 32:
        kind = f"of floating-point numbers of {bits} bits"
    if kind is not None:
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            f"This is a TIFF file {kind}, which is not read; others are. Export the image as PNG "
            "or JPEG and send that.",
        )


def _tiled_pixels(image: TiffImagePlugin.TiffImageFile) -> int:
    """Pixels of all of a TIFF's tiles, which may be far larger than the image; 0 without tiles."""
    width, length = (int(image.tag_v2.get(tag, 0)) for tag in (TILEWIDTH, TILELENGTH))
    if width < 1 or length < 1:
        return 0
    return -(-image.width // width) * width * -(-image.height // length) * length
