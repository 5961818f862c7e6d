"""An image of which only the header was read: what every format has in common."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.imaging.dicom.headers import Flag
from shared.imaging.refusal import refusing_damage


class OpenedImage(ABC):
    """An accepted image of which only the header was read.

    Attributes:
        format: "JPEG", "PNG", "TIFF", "BMP", "WEBP" or "DICOM".
        width: Pixels of a stored row, before the EXIF orientation is applied.
        height: Stored rows.
        mode: How pixels are stored: Pillow's name of it, such as "L", "RGB", "I;16" or "CMYK"; of a
            DICOM file, its bits and its transfer syntax.
        decoded_bytes: Estimate of the memory that `decode` adds at its peak, in bytes.
        flags: What in the headers makes an answer less reliable; only DICOM files say so much.
    """

    format: str
    width: int
    height: int
    mode: str
    decoded_bytes: int
    flags: tuple[Flag, ...] = ()
    _source: Any
    """What is decoded: the file, or what reads it."""

    def decode(self) -> NDArray[np.uint8]:
        """Decode to grey, upright; once, as the file is let go of.

        Returns:
            (H, W) uint8, read-only: 0 is black.

        Raises:
            ImageRefused: The pixels are cut off or damaged.
            RuntimeError: It was decoded before.
        """
        source, self._source = self._source, None
        if source is None:
            raise RuntimeError("an opened image is decoded once")
        with refusing_damage(self.format):
            return self._decode(source)

    @abstractmethod
    def _decode(self, source: Any) -> NDArray[np.uint8]:
        """Decode what was opened; may raise anything."""
