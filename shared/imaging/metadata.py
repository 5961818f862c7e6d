"""What a file holds beside its picture, measured before a decoder takes it into memory.

Pillow keeps profiles, previews and texts, in pieces and joined, and looks into compressed ones
whatever becomes of them. 16 MB of them took 70 MB of memory, or a core for half a minute.
"""

import struct
from collections.abc import Iterator
from typing import IO, Final

from PIL import TiffTags
from PIL.TiffImagePlugin import (
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
    ImageFileDirectory_v2,
)

from shared.imaging.rationed_file import RationUsedUp

MAX_METADATA: Final = 4 * 1024 * 1024
"""Most bytes of a file beside its picture; a profile of 2 MB is rare."""

MAX_COMPRESSED: Final = 100
"""Most chunks of a PNG that hold a compressed profile or text; each may take milliseconds."""

MAX_PIECES: Final = 65_536
"""Most strips or tiles of a TIFF; a row each is the finest that is usual."""

_LOAD: Final = ImageFileDirectory_v2.load
_MOST_CHUNKS: Final = 100_000
_PICTURE: Final = frozenset({b"IDAT", b"fdAT", b"VP8 ", b"VP8L", b"ALPH", b"ANMF"})
_LONG: Final = 4096
_LAYERS: Final = 37724  # Photoshop's own copy of the picture, megabytes long
_TEXT: Final = frozenset({TiffTags.BYTE, TiffTags.ASCII, TiffTags.UNDEFINED})
_PIECES: Final = frozenset({STRIPOFFSETS, STRIPBYTECOUNTS, TILEOFFSETS, TILEBYTECOUNTS})
_COMPRESSED: Final = frozenset({b"iCCP", b"zTXt", b"iTXt"})


def check_metadata(data: bytes, name: str) -> None:
    """Walks through the chunks of a PNG or WebP file; others are rationed as they are read.

    Args:
        data: The file's bytes.
        name: Its format, as Pillow calls it.

    Raises:
        RationUsedUp: There is more beside the picture than any ordinary image has.
    """
    chunks = {"PNG": _png_chunks, "WEBP": _webp_chunks}.get(name)
    if chunks is None:
        return
    metadata = compressed = 0
    for count, (kind, length) in enumerate(chunks(data)):
        metadata += 0 if kind in _PICTURE else length
        compressed += kind in _COMPRESSED
        if metadata > MAX_METADATA or compressed > MAX_COMPRESSED or count == _MOST_CHUNKS:
            raise RationUsedUp


def ration_tags() -> None:
    """Keep Pillow from unpacking long lists of numbers in a TIFF's tags, and in EXIF, for good.

    Each number takes ten times what it takes in the file, a fraction 30 times: 4 MB of them took
    190 MB and three seconds. Only strips and tiles come in thousands; other lists are dropped.
    """

    def load_rationed(tags: ImageFileDirectory_v2, file: IO[bytes]) -> None:
        _LOAD(tags, file)
        for tag, stored in list(tags._tagdata.items()):
            if tag in _PIECES:
                if len(stored) > 8 * MAX_PIECES:
                    raise RationUsedUp
            elif tag == _LAYERS or (tags.tagtype[tag] not in _TEXT and len(stored) > _LONG):
                del tags._tagdata[tag]

    ImageFileDirectory_v2.load = load_rationed  # type: ignore[method-assign, assignment]


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk (PNG 1.2, section 3.2)."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        yield kind, min(length, len(data))
        if kind == b"IEND":
            break


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk (RFC 9649, section 2.3)."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8 + length + length % 2
        yield kind, min(length, len(data))
