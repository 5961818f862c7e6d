"""Decoders of compressed DICOM pixel data, kept from decoding more than the headers announce.

A codestream has a size of its own. A decoder that believed it would fill the memory with an image
of 60000 × 60000 pixels for a file of 200 bytes.
"""

import struct
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from shared.imaging.dicom.jpeg_2000 import check_codestream
from shared.imaging.rationed_file import RationUsedUp

# Start of frame (ITU-T T.81, table B.1; T.87, C.1.1) by transfer syntax. Others, such as
# progressive ones, are none of DICOM's, and take far more memory.
_FRAMES: Final[dict[str, frozenset[int]]] = {
    uid.JPEGBaseline8Bit: frozenset({0xC0, 0xC1}),
    uid.JPEGExtended12Bit: frozenset({0xC0, 0xC1}),
    uid.JPEGLossless: frozenset({0xC3}),
    uid.JPEGLosslessSV1: frozenset({0xC3}),
    uid.JPEGLSLossless: frozenset({0xF7}),
    uid.JPEGLSNearLossless: frozenset({0xF7}),
}
_JPEG_2000: Final[frozenset[str]] = frozenset(
    {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
)
_JPEG_LS: Final[frozenset[str]] = frozenset({uid.JPEGLSLossless, uid.JPEGLSNearLossless})

COMPRESSED: Final[frozenset[str]] = frozenset({*_FRAMES, *_JPEG_2000, uid.RLELossless})
"""Transfer syntaxes that are decoded here."""

_END: Final = (
    b"\xff\xd9"  # end of image (ITU-T T.81, table B.1); what follows the first is not read
)

MOST_EXPANDED: Final[dict[str, int]] = {
    uid.DeflatedExplicitVRLittleEndian: 1032,  # RFC 1951: 258 bytes for two bits
    uid.RLELossless: 64,  # PS3.5, annex G: 128 bytes for two
}
"""How many times a file's length its pixels may have, where that is bounded."""

WORK: Final[dict[str, int]] = dict.fromkeys(COMPRESSED, 0) | dict.fromkeys(_JPEG_2000, 6)
"""Bytes a pixel that a decoder takes beside what it returns; measured, rounded up."""


def decompress(frame: bytes, syntax: str, shape: tuple[int, int], size: int) -> NDArray[Any]:
    """Decodes one frame of one sample a pixel.

    Args:
        frame: The codestream.
        syntax: The UID of its transfer syntax, one of `COMPRESSED`.
        shape: Rows and Columns of the headers.
        size: Bytes a pixel, 1 or 2.

    Returns:
        (H, W) uint8 or uint16: the stored bits, as the codec gives them.

    Raises:
        ValueError: The codestream is not of that shape, or of several components.
        RationUsedUp: It is made to cost far more than its picture.
        Exception: Whatever else the decoder finds wrong with it.
    """
    if syntax == uid.RLELossless:
        return _run_lengths(frame, shape, size)
    if syntax in _FRAMES:
        _check_jpeg(frame, shape, _FRAMES[syntax])
        frame += _END  # without it the decoder of JPEG-LS may read on for ever
        decode = imagecodecs.jpegls_decode if syntax in _JPEG_LS else imagecodecs.jpeg8_decode
    else:
        check_codestream(frame, shape)
        decode = imagecodecs.jpeg2k_decode
    pixels: NDArray[Any] = decode(frame)
    if pixels.shape != shape or pixels.dtype.kind not in "iu" or pixels.itemsize > size:
        raise ValueError("the codestream is of another shape than the headers say")
    return pixels.view(f"u{pixels.itemsize}")


def _run_lengths(frame: bytes, shape: tuple[int, int], size: int) -> NDArray[Any]:
    """Decodes RLE (PS3.5, annex G) into what the picture takes, and no more."""
    decoded = bytearray(shape[0] * shape[1] * size)
    written = imagecodecs.dicomrle_decode(frame, f"<u{size}", out=decoded)
    if len(written) < len(decoded):
        raise EOFError("the run lengths end before the picture does")
    return np.frombuffer(decoded, f"<u{size}").reshape(shape)


def _check_jpeg(frame: bytes, shape: tuple[int, int], frames: frozenset[int]) -> None:
    """Compares a JPEG's frame header (ITU-T T.81, B.2.2) with what the DICOM headers say."""
    at = 2
    while at + 9 < len(frame):
        if frame[at] != 0xFF:
            raise ValueError("there is no marker where one should be")
        marker, (length,) = frame[at + 1], struct.unpack_from(">H", frame, at + 2)
        if marker == 0xFF:  # fill before a marker
            at += 1
            continue
        if marker in frames:
            height, width, components = struct.unpack_from(">HHB", frame, at + 5)
            if (height, width) != shape or components != 1:
                raise ValueError("the frame is of another shape than the headers say")
            if frame.count(b"\xff\xda") > 1:  # it has one component, so one scan
                raise RationUsedUp
            return
        at += 2 + length
    raise EOFError("there is no frame of this transfer syntax")
