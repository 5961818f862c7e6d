"""Bytes to a grey image, or a refusal that says why.

The content decides what a file is, never its name or a header of the request. JPEG (also the
two-frame MPO of phones: the first frame counts), PNG, TIFF, BMP, WebP and DICOM are read.
Everything else, and everything outside the limits, is an `ImageRefused`, whatever the bytes were:
no other exception leaves this module.
"""

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from shared.imaging import file_types, jpeg
from shared.imaging.grayscale import bits_per_channel, to_grey
from shared.imaging.limits import check_size
from shared.imaging.memory_estimate import BLOCK, decoded_bytes, has_several_scans
from shared.imaging.metadata import MAX_METADATA, check_metadata
from shared.imaging.opened_image import OpenedImage
from shared.imaging.rationed_file import RationedFile
from shared.imaging.refusal import ACCEPTED, ImageRefused, RefusalReason, cut_off, refusing_damage
from shared.imaging.tiff import TiffFile, check_pieces, holds_several


class PillowImage(OpenedImage):
    """An image that Pillow decodes; its `mode` is Pillow's name of the pixel type.

    Colours become luma (ITU-R BT.601), transparent parts black. More than 8 bits are reduced to the
    highest eight that the pixels use, so that 12 bits stored in 16 do not come out black.
    """

    def __init__(self, image: ImageFile, data: bytes, shortest_side: int) -> None:
        """Keeps what the header says; `open_image` calls this."""
        self.format = image.format or ""
        self.width, self.height = image.size
        self.mode = image.mode
        self.decoded_bytes = decoded_bytes(image, data, shortest_side)
        self._source = image
        self._shortest_side = shortest_side
        if image.format in ("JPEG", "MPO") and jpeg.lacks_end(data):
            self._source = data
            self.decoded_bytes += 2 * len(data) + self.width * self.height

    def _decode(self, source: ImageFile | bytes) -> NDArray[np.uint8]:
        side = self._shortest_side
        if isinstance(source, bytes):
            return _decode_to_the_last_row(source, side)
        if isinstance(source, JpegImagePlugin.JpegImageFile):
            source.draft("L", (side, side) if side > 0 else None)
        deep = bits_per_channel(source) > 8
        source.decodermaxblock = BLOCK
        source.load()
        turn = _turn(source)
        grey = to_grey(source, deep)
        if turn is not None:
            grey = grey.transpose(turn)
        return np.asarray(grey, dtype=np.uint8)


# Pillow's plugins are called directly: `Image.open` would also warn of large images, which are
# measured here, and read the second frame of an MPO file.
_OPENERS: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}

# In how many pieces a decoder may read a file. A JPEG's header takes four for each segment, so 256
# segments of the greatest length (ITU-T T.81, B.1.1.4) fit in, which are 16 MB; Pillow joins their
# EXIF in quadratic time. Chunks of a PNG and strips of a TIFF may be many, and cost little.
_READS: Final = {"JPEG": 2000}
_OTHER_READS: Final = 100_000

# How many bytes a decoder may read before the picture. A TIFF's tags are read up to three times.
_HEADERS: Final = {"JPEG": MAX_METADATA, "TIFF": 3 * MAX_METADATA}

# How to turn a stored image upright: EXIF 2.32, tag 0x0112, table 6 of section 4.6.4.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION: Final = 0x0112


def open_image(data: bytes, shortest_side: int = 448) -> OpenedImage:
    """Read an image's header, and refuse what needs no decoding to be refused.

    Args:
        data: The file's bytes.
        shortest_side: A JPEG may be decoded at a half, a quarter or an eighth of its size as long
            as both sides keep at least this many pixels, which saves half of the time or more at
            a mean change of well under a grey level after `preprocessing.resize`.
            0 decodes at full size.

    Returns:
        The image, ready to decode.

    Raises:
        ImageRefused: The bytes are empty, of another format, of several images, cut off or
            damaged within the header, or outside the limits of size.
    """
    if file_types.is_dicom(data):
        from shared.imaging.dicom.image import (
            open_dicom,  # 50 MB and 0.5 s, for who sends such files
        )

        return open_dicom(data)
    image = _open(data)
    with refusing_damage(image.format):
        return PillowImage(image, data, shortest_side)


def decode(data: bytes, shortest_side: int = 448) -> NDArray[np.uint8]:
    """Decode an image to grey, upright: `open_image` and `OpenedImage.decode` in one."""
    return open_image(data, shortest_side).decode()


def _decode_to_the_last_row(data: bytes, shortest_side: int) -> NDArray[np.uint8]:
    """Decode a JPEG that lacks its end marker, if it lacks nothing else.

    Raises:
        ImageRefused: Rows are missing.
    """
    ended, filled = (decode(whole, shortest_side) for whole in jpeg.completed(data))
    if not np.array_equal(ended, filled):
        raise cut_off("JPEG")
    return ended


def _open(data: bytes) -> ImageFile:
    """Open an image without decoding it, or refuse it."""
    if not data:
        raise ImageRefused(
            RefusalReason.EMPTY,
            f"The file is empty (0 bytes). Send the bytes of a chest X-ray as {ACCEPTED}.",
        )
    name = file_types.accepted_format(data)
    if name is None:
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            f"Received {file_types.describe(data)}; accepted are {ACCEPTED}. "
            "Export the image as PNG or JPEG and send that.",
        )
    if file_types.is_text_mode_copy(data):
        raise ImageRefused(
            RefusalReason.CORRUPT,
            f"The {name} file was copied as if it were text: each of its line feeds has a carriage "
            "return before it, which damages an image. Copy it in binary mode and send that.",
        )
    with refusing_damage(name):
        if name == "JPEG":
            jpeg.check_kind(data)
        check_metadata(data, name)
        file = RationedFile(data, _READS.get(name, _OTHER_READS), _HEADERS.get(name))
        image = _OPENERS[name](file)
        _refuse_several(image)
        _check_limits(image, data)
        file.pass_header()
    return image


def _turn(image: ImageFile) -> Image.Transpose | None:
    """What turns a loaded image upright; Pillow turned a TIFF already, and dropped its tag."""
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged metadata raises anything, and hurts no pixels
        return None


def _refuse_several(image: ImageFile) -> None:
    """Refuse a file of more than one picture."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        several = holds_several(image)
    else:
        several = bool(getattr(image, "is_animated", False))
    if several:
        raise ImageRefused(
            RefusalReason.ANIMATED,
            f"This {image.format} file holds several pictures (an animation or several pages); "
            "accepted is one picture a file. Save the X-ray on its own and send that.",
        )


def _check_limits(image: ImageFile, data: bytes) -> None:
    """Refuse an image that is too small, too large, or made to exhaust the decoder."""
    width, height = image.size
    check_size(width, height)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        check_pieces(image, data)
    if isinstance(image, BmpImagePlugin.BmpImageFile) and image.tile[0].codec_name == "bmp_rle":
        # Pillow decodes these in Python, a byte at a time: seconds in which no other thread runs.
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            "This BMP file is compressed (run lengths), which is not read; other BMP files are. "
            "Export the image as PNG or JPEG and send that.",
        )
    if isinstance(image, JpegImagePlugin.JpegImageFile) and has_several_scans(image, data):
        jpeg.check_scans(data, width * height)
