"""What a file holds beside its picture, measured before a decoder takes it into memory.

Pillow keeps profiles, previews and texts, in pieces and joined, and looks into compressed ones
whatever becomes of them. 16 MB of them took 70 MB of memory, or a core for half a minute.
"""

import struct
from collections.abc import Iterator
from typing import Final

from shared.rationing import RationUsedUp

MAX_METADATA: Final = 4 * 1024 * 1024
"""Most bytes of a file beside its picture; a profile of 2 MB is rare."""

MAX_COMPRESSED: Final = 100
"""Most chunks of a PNG that hold a compressed profile or text; each may take milliseconds."""

_MOST_CHUNKS: Final = 100_000
_PICTURE: Final = frozenset({b"IDAT", b"VP8 ", b"VP8L", b"ALPH"})
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
