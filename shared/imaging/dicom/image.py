"""A DICOM file (PS3.10) of a chest radiograph to the grey image that every other format becomes.

pydicom and the decoders are loaded with this module, which is imported when the first DICOM file
comes. Nothing of the headers leaves it, but the names of the attributes that refused the file.
"""

import io
import logging
import warnings
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import config, uid
from pydicom.encaps import get_frame

from shared.imaging.dicom.codecs import COMPRESSED, MOST_EXPANDED, WORK, decompress
from shared.imaging.dicom.file import inflate, read_headers
from shared.imaging.dicom.headers import flags, number, refuse_other_objects, unsupported
from shared.imaging.dicom.pixels import refuse_other_pixels, to_grey
from shared.imaging.limits import check_size
from shared.imaging.opened_image import OpenedImage
from shared.imaging.rationed_file import RationUsedUp
from shared.imaging.refusal import ImageRefused, RefusalReason, refusing_damage

NATIVE: Final[frozenset[str]] = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    }
)
"""Transfer syntaxes without compressed pixels (PS3.5, annex A)."""

_MOST_FRAGMENTS: Final = 10_000
_ITEM: Final = b"\xfe\xff\x00\xe0"  # PS3.5, A.4; always little-endian
_FIXED: Final = 8_000_000  # tables of every value that can be stored, and rows that are looked up

# pydicom speaks of values that are not as they should be, which may name a patient.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")


class OpenedDicom(OpenedImage):
    """An accepted DICOM file of which only the headers were read.

    Its `format` is "DICOM", its `mode` how pixels are stored: "12 of 16 bits, RLE Lossless".
    """

    def __init__(self, data: bytes) -> None:
        """Reads the headers; `open_dicom` calls this."""
        self.format = "DICOM"
        self._headers = read_headers(data)
        dataset, self._syntax = self._headers.dataset, self._headers.syntax
        pixels_at = self._headers.pixels_at
        refuse_other_objects(dataset, pixels_at is not None)
        refuse_other_pixels(dataset)
        if self._syntax not in NATIVE | COMPRESSED:
            raise unsupported(
                "TransferSyntaxUID",
                "names a compression that is not read",
                "uncompressed and deflated files, RLE, JPEG (baseline, extended, lossless), "
                "JPEG-LS, JPEG 2000 and HTJ2K",
            )
        self.width, self.height = number(dataset, "Columns", 0), number(dataset, "Rows", 0)
        check_size(self.width, self.height)
        self.flags = flags(dataset, datetime.now(UTC).date())
        allocated = number(dataset, "BitsAllocated", 0)
        self.mode = f"{number(dataset, 'BitsStored', 0)} of {allocated} bits, {self._syntax.name}"
        self._pixels_at = pixels_at or 0
        self._pixel_bytes = allocated // 8
        self._stored_bytes = self.width * self.height * self._pixel_bytes
        self._source = data
        self._refuse_what_the_file_has_not(data)
        self.decoded_bytes = self._estimate(data)

    def _decode(self, source: bytes) -> NDArray[np.uint8]:
        native = self._syntax in NATIVE
        stored = self._native(source) if native else self._decompressed(source)
        return to_grey(stored, self._headers.dataset)

    def _native(self, data: bytes) -> NDArray[Any]:
        """(H, W) uint8 or uint16, a view of the file where it can be (PS3.5, 8.1.1 and annex D)."""
        size = self._pixel_bytes
        # Bytes are stored in words as well, of which big-endian files swap the halves.
        in_words = self._headers.big_endian and size == 1 and self._headers.pixels_vr != "OB"
        length = self._stored_bytes + (self._stored_bytes % 2 if in_words else 0)
        data = inflate(data, self._pixels_at + length)
        if len(data) < self._pixels_at + length:
            raise EOFError("there are fewer pixels than the headers say")
        if in_words:
            words = np.frombuffer(data, "<u2", length // 2, self._pixels_at)
            stored = words.byteswap().view("u1")[: self._stored_bytes]
        else:
            order = "><"[not self._headers.big_endian]
            count = self.width * self.height
            stored = np.frombuffer(data, f"{order}u{size}", count, self._pixels_at)
        return stored.reshape(self.height, self.width)

    def _decompressed(self, data: bytes) -> NDArray[Any]:
        """(H, W) uint8 or uint16: the only frame (PS3.5, A.4)."""
        if data.count(_ITEM, self._pixels_at) > _MOST_FRAGMENTS:
            raise RationUsedUp
        file = io.BytesIO(data)
        file.seek(self._pixels_at)
        frame = get_frame(file, 0, number_of_frames=1)
        return decompress(frame, self._syntax, (self.height, self.width), self._pixel_bytes)

    def _refuse_what_the_file_has_not(self, data: bytes) -> None:
        """Refuses a file that says that it has more pixels than fit into it."""
        there = len(data) - self._pixels_at
        if self._syntax == uid.DeflatedExplicitVRLittleEndian:
            there = len(data)
        if there * MOST_EXPANDED.get(self._syntax, 1) >= self._stored_bytes:
            return
        if self._syntax in NATIVE or self._syntax in MOST_EXPANDED:
            raise ImageRefused(
                RefusalReason.TRUNCATED,
                "The DICOM file has fewer pixels than Rows (0028,0010) and Columns (0028,0011) "
                "say: it was probably cut off while it was copied or sent. Send the whole file "
                "again.",
            )

    def _estimate(self, data: bytes) -> int:
        """Bytes that decoding adds: first the stored pixels, and then the grey ones beside them."""
        pixels, size = self.width * self.height, self._pixel_bytes
        if self._syntax in COMPRESSED:
            copies = 1 if WORK[self._syntax] else 2  # a JPEG's is copied to put an end to it
            decompressing = copies * len(data) + pixels * (size + WORK[self._syntax])
            return max(decompressing, pixels * (size + 1)) + _FIXED
        if self._syntax == uid.DeflatedExplicitVRLittleEndian:
            return len(data) + 2 * (self._pixels_at + self._stored_bytes) + _FIXED
        return pixels * (2 if self._headers.big_endian and size == 1 else 1) + _FIXED


def open_dicom(data: bytes) -> OpenedDicom:
    """Reads a DICOM file's headers, and refuses what needs no decoding to be refused.

    Args:
        data: The file's bytes.

    Returns:
        The image, ready to decode.

    Raises:
        ImageRefused: It is no single radiograph of a chest, is stored in a way that is not read,
            is cut off or damaged within its headers, or outside the limits of size. The detail
            names the attribute that decided, never its value.
    """
    with refusing_damage("DICOM"):
        return OpenedDicom(data)
