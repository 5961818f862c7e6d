"""A file in memory of which a decoder gets so much and no more.

Pillow reads headers in Python, a few bytes at a time. A file made for it has it do so millions of
times: 16 MB of fill bytes or of tiny segments before a JPEG's first scan hold a core for 10 to 30
seconds and take 500 MB. Counting what it asks for ends that for every format, as the decoder itself
reads it.
"""

import io
from typing import Final

_READINGS: Final = 4
"""How many times over a file may be read: a TIFF's tags are read up to three times, pixels once."""


class RationUsedUp(Exception):
    """The decoder asked for more of the file than any ordinary image needs."""


class RationedFile(io.BytesIO):
    """A file that may be read so many times, and its length a few times over."""

    def __init__(self, data: bytes, reads: int, header: int | None = None) -> None:
        """Takes the file.

        Args:
            data: Its bytes.
            reads: How many pieces it may be read in.
            header: How many bytes may be read before `pass_header`; None for as many as after it.
        """
        super().__init__(data)
        self._reads = reads
        self._bytes = self._most = _READINGS * len(data)
        if header is not None:
            self._bytes = min(header, self._most)

    def pass_header(self) -> None:
        """Lets the picture be read."""
        self._bytes = self._most

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads up to `size` bytes.

        Raises:
            RationUsedUp: It was read too often, or too much.
        """
        piece = super().read(size)
        self._reads -= 1
        self._bytes -= len(piece)
        if self._reads < 0 or self._bytes < 0:
            raise RationUsedUp
        return piece
