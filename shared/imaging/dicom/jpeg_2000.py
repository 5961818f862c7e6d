"""A JPEG 2000 codestream's headers (ISO/IEC 15444-1, annex A), read for what decoding will cost.

A decoder keeps books on every precinct and code-block, some 500 bytes each, before it looks at a
coefficient. 180 bytes of file can ask for four million of them: 2 GB and half a minute.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.imaging.rationed_file import RationUsedUp

_START: Final = b"\xff\x4f\xff\x51"  # SOC and SIZ, which follows it
_SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0x51, 0x52, 0x53, 0x90, 0x93, 0xD9
_FILE_HEADER: Final = 1024  # some writers put a file around the codestream (annex I)

_MOST_TILES: Final = 4096
_MOST_TILE_PARTS: Final = 8192
_MOST_LEVELS: Final = 32
_PIXELS_A_BLOCK: Final = 400  # 4096 in a usual code-block
_FEW_BLOCKS: Final = 4096
_MOST_LAYERS: Final = 100


class Size(NamedTuple):
    """What the codestream says of its image (A.5.1).

    Attributes:
        width: Columns.
        height: Rows.
        components: Samples a pixel.
        tile_width: Columns of a tile.
        tile_height: Rows of a tile.
        tiles: How many there are.
    """

    width: int
    height: int
    components: int
    tile_width: int
    tile_height: int
    tiles: int


def check_codestream(frame: bytes, shape: tuple[int, int]) -> None:
    """Refuses a codestream that is not of one component, of another shape, or made to cost.

    Args:
        frame: The codestream, or a JP2 file with it.
        shape: Rows and columns that it should have.

    Raises:
        ValueError: It is of another shape, or of several components.
        EOFError: It ends within its headers.
        RationUsedUp: It is cut into far more pieces than a picture of that size needs.
        struct.error: A header is too short.
    """
    start = frame.find(_START, 0, _FILE_HEADER)
    if start < 0:
        raise EOFError("there is no codestream")
    size = _size(frame, start + 4)
    if (size.height, size.width) != shape or size.components != 1:
        raise ValueError("the codestream is of another shape than the headers say")
    if size.tiles > _MOST_TILES:
        raise RationUsedUp
    for marker, at in _segments(frame, start):
        if marker in (_COD, _COC):
            _check_style(frame, at, size, of_component=marker == _COC)


def _size(frame: bytes, at: int) -> Size:
    """Reads SIZ."""
    right, bottom, left, top, width, height, tile_left, tile_top, components = struct.unpack_from(
        ">8IH", frame, at + 4
    )
    if 0 in (width, height) or right <= left or bottom <= top:
        raise ValueError("the codestream has no size")
    tiles = -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height)
    inside = min(width, right - left), min(height, bottom - top)
    return Size(right - left, bottom - top, components, *inside, tiles)


def _segments(frame: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Markers of the main header and of every tile-part's (A.4.2), with where their length is."""
    at, part = start + 2, 0
    for _ in range(_MOST_TILE_PARTS):
        while (marker := _marker(frame, at)) not in (_SOT, _EOC):
            yield marker, at + 2
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
        if marker == _EOC:
            return
        part, length = at, struct.unpack_from(">I", frame, at + 6)[0]
        at += 12
        while (marker := _marker(frame, at)) != _SOD:
            yield marker, at + 2
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
        at = part + length
        if length == 0 or at + 2 >= len(frame):  # the last one, or all that there is
            return
        if length < 14:
            raise ValueError("a tile-part is shorter than its header")
    raise RationUsedUp


def _marker(frame: bytes, at: int) -> int:
    if at + 4 > len(frame) and frame[at : at + 2] != b"\xff\xd9":
        raise EOFError("the codestream ends within its headers")
    if frame[at] != 0xFF:
        raise ValueError("there is no marker where one should be")
    return frame[at + 1]


def _check_style(frame: bytes, at: int, size: Size, of_component: bool) -> None:
    """Counts what COD or COC (A.6.1 and A.6.2) cuts a tile into.

    Args:
        frame: The codestream.
        at: Where the segment's length is.
        size: What SIZ says.
        of_component: Whether it is COC, of one component, which has no layers.
    """
    own_precincts = frame[at + (3 if of_component else 2)] & 1
    if not of_component and struct.unpack_from(">H", frame, at + 4)[0] > _MOST_LAYERS:
        raise RationUsedUp
    style = at + (4 if of_component else 7)
    levels, across, down = frame[style], frame[style + 1] & 15, frame[style + 2] & 15
    if levels > _MOST_LEVELS:
        raise ValueError("there are more levels than 32")
    blocks = 0
    for level in range(levels + 1):  # from the smallest resolution to the image's own
        by = 1 << (levels - level)
        width, height = -(-size.tile_width // by), -(-size.tile_height // by)
        precinct = frame[style + 5 + level] if own_precincts else 0xFF
        wide, high = precinct & 15, precinct >> 4
        blocks += -(-width >> wide) * -(-height >> high)
        # A precinct cuts code-blocks too, beyond the smallest resolution on half the scale (B.7).
        finer = int(level > 0)
        wide, high = min(across + 2, wide - finer), min(down + 2, high - finer)
        blocks += -(-width >> max(wide, 0)) * -(-height >> max(high, 0))
    pixels = size.width * size.height
    if blocks * size.tiles > _FEW_BLOCKS + 16 * size.tiles + pixels // _PIXELS_A_BLOCK:
        raise RationUsedUp
