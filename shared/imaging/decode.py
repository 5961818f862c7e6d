"""Bytes to a grey image, or a refusal that says why.

The content decides what a file is, never its name or a header of the request. JPEG (also the
two-frame MPO of phones: the first frame counts), PNG, TIFF, BMP and WebP are read. Everything
else, and everything outside the limits, is an `ImageRefused`, whatever the bytes were: no other
exception leaves this module.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
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
from PIL.TiffImagePlugin import (
    ROWSPERSTRIP,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILELENGTH,
    TILEOFFSETS,
    TILEWIDTH,
)

from shared.imaging import file_types, hardening
from shared.imaging.grayscale import bits_per_channel, to_grey
from shared.imaging.memory_estimate import BLOCK, decoded_bytes, has_several_scans
from shared.imaging.metadata import MAX_METADATA, MAX_PIECES, check_metadata, ration_tags
from shared.imaging.rationed_file import RationedFile, RationUsedUp

MIN_SIDE: Final = 64
"""Shortest side that is accepted, in pixels."""

MAX_PIXELS: Final = 40_000_000
"""Largest width × height that is accepted; a large X-ray detector has 10 to 20 million."""

MAX_SCANS: Final = 100
"""Most passes over a JPEG; 10 are usual."""

MAX_SCANNED: Final = 12 * MAX_PIXELS
"""Most pixels of all those passes together; each may cost as much as a whole image."""

MAX_TIFF_SCANS: Final = 4
"""Most passes over a JPEG within a TIFF: one for each channel, where there is not one for all."""

MAX_OVERLAP: Final = 16
"""How many times a TIFF's length its strips or tiles may have together. They do not overlap, but
some writers tell lengths from before compression."""

ACCEPTED: Final = "JPEG, PNG, TIFF, BMP and WebP"

# Pillow takes a PNG's text into memory as it reads the header: 64 million characters, unless told
# otherwise. A million are far more than a viewer writes, orientation included.
PngImagePlugin.MAX_TEXT_MEMORY = 1024 * 1024

# Pillow warns of oddities in metadata. They do not concern the pixels, and metadata may name a
# patient: it must not reach a log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

hardening.silence()
ration_tags()


class RefusalReason(StrEnum):
    """Why an image was refused; stable, for programs."""

    EMPTY = "empty"
    UNSUPPORTED_FORMAT = "unsupported_format"
    DICOM = "dicom"
    ANIMATED = "animated"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"


class ImageRefused(ValueError):
    """The bytes are no image that can be screened.

    Attributes:
        reason: Why, for programs.
        detail: What was received, what is accepted and what to do, for people.
    """

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class OpenedImage:
    """An accepted image of which only the header was read.

    Attributes:
        format: "JPEG", "PNG", "TIFF", "BMP" or "WEBP".
        width: Pixels of a stored row, before the EXIF orientation is applied.
        height: Stored rows.
        mode: Pillow's name of the pixel type, such as "L", "RGB", "I;16" or "CMYK".
        decoded_bytes: Estimate of the memory that `decode` adds at its peak, in bytes.
    """

    def __init__(self, image: ImageFile, data: bytes, shortest_side: int) -> None:
        """Keeps what the header says; `open_image` calls this."""
        self.format = image.format or ""
        self.width, self.height = image.size
        self.mode = image.mode
        self.decoded_bytes = decoded_bytes(image, data, shortest_side)
        self._image: ImageFile | None = image
        self._shortest_side = shortest_side

    def decode(self) -> NDArray[np.uint8]:
        """Decode to grey, upright; once, as the file is let go of.

        Colours become luma (ITU-R BT.601), transparent parts black. More than 8 bits are reduced
        to the highest eight that the pixels use, so that 12 bits stored in 16 do not come out
        black.

        Returns:
            (H, W) uint8, read-only: 0 is black.

        Raises:
            ImageRefused: The pixels are cut off or damaged.
            RuntimeError: It was decoded before.
        """
        image, self._image = self._image, None
        if image is None:
            raise RuntimeError("an opened image is decoded once")
        with _refusing_damage(self.format):
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                side = self._shortest_side
                image.draft("L", (side, side) if side > 0 else None)
            deep = bits_per_channel(image) > 8
            image.decodermaxblock = BLOCK
            image.load()
            turn = _turn(image)
            grey = to_grey(image, deep)
            if turn is not None:
                grey = grey.transpose(turn)
            return np.asarray(grey, dtype=np.uint8)


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF file of tags that are not too long, and so of not too many strips or tiles."""

    def _setup(self) -> None:
        if sum(map(len, self.tag_v2._tagdata.values())) > MAX_METADATA:
            raise RationUsedUp
        for tag in (STRIPOFFSETS, STRIPBYTECOUNTS, TILEOFFSETS, TILEBYTECOUNTS):
            if len(self.tag_v2.get(tag, ())) > MAX_PIECES:
                raise RationUsedUp
        super()._setup()


# Pillow's plugins are called directly: `Image.open` would also warn of large images, which are
# measured here, and read the second frame of an MPO file.
_OPENERS: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": _TiffFile,
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

# The start of a JPEG's frame, with its height (ITU-T T.81, B.2.2).
_FRAME: Final = re.compile(
    rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]\0.[\x08\x0c](..)", re.DOTALL
)

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

# TIFF 6.0, section 8.
_SUBFILE_TYPE, _REDUCED_RESOLUTION = 254, 1


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
    image = _open(data)
    with _refusing_damage(image.format):
        return OpenedImage(image, data, shortest_side)


def decode(data: bytes, shortest_side: int = 448) -> NDArray[np.uint8]:
    """Decode an image to grey, upright: `open_image` and `OpenedImage.decode` in one."""
    return open_image(data, shortest_side).decode()


def _open(data: bytes) -> ImageFile:
    """Open an image without decoding it, or refuse it."""
    if not data:
        raise ImageRefused(
            RefusalReason.EMPTY,
            f"The file is empty (0 bytes). Send the bytes of a chest X-ray as {ACCEPTED}.",
        )
    if file_types.is_dicom(data):
        raise ImageRefused(
            RefusalReason.DICOM,
            f"This is a DICOM file, which is not read yet; accepted are {ACCEPTED}. "
            "Export the image from your viewer as PNG or JPEG and send that.",
        )
    name = file_types.accepted_format(data)
    if name is None:
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            f"Received {file_types.describe(data)}; accepted are {ACCEPTED}. "
            "Export the image as PNG or JPEG and send that.",
        )
    with _refusing_damage(name):
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
    """Refuse a file of more than one picture; a reduced copy of the first is no matter."""
    several = bool(getattr(image, "is_animated", False))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        several = False
        with suppress(EOFError):
            image.seek(1)
            several = not image.tag_v2.get(_SUBFILE_TYPE, 0) & _REDUCED_RESOLUTION
        image.seek(0)
    if several:
        raise ImageRefused(
            RefusalReason.ANIMATED,
            f"This {image.format} file holds several pictures (an animation or several pages); "
            "accepted is one picture a file. Save the X-ray on its own and send that.",
        )


def _check_limits(image: ImageFile, data: bytes) -> None:
    """Refuse an image that is too small, too large, or made to exhaust the decoder."""
    width, height = image.size
    received = f"The image has {width} × {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(
            RefusalReason.TOO_SMALL,
            f"{received}; accepted are at least {MIN_SIDE} × {MIN_SIDE}. "
            "Send the original X-ray, not a thumbnail.",
        )
    limit = f"accepted are at most {MAX_PIXELS // 1_000_000} million"
    if width * height > MAX_PIXELS:
        raise ImageRefused(
            RefusalReason.TOO_LARGE,
            f"{received} ({width * height / 1e6:.1f} million); {limit}. "
            "Export it smaller: about 2000 pixels wide is plenty.",
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiled = _tiled_pixels(image)
        if tiled > 2 * MAX_PIXELS:
            raise ImageRefused(
                RefusalReason.TOO_LARGE,
                f"The tiles of the TIFF file have {tiled / 1e6:.1f} million pixels together; "
                f"{limit}. Export the image as PNG or JPEG and send that.",
            )
        _check_pieces(image, data)
    if isinstance(image, BmpImagePlugin.BmpImageFile) and image.tile[0].codec_name == "bmp_rle":
        # Pillow decodes these in Python, a byte at a time: seconds in which no other thread runs.
        raise ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            "This BMP file is compressed (run lengths), which is not read; other BMP files are. "
            "Export the image as PNG or JPEG and send that.",
        )
    if (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        and has_several_scans(image, data)
        and (scans := data.count(b"\xff\xda")) > min(MAX_SCANS, MAX_SCANNED / (width * height))
    ):
        raise ImageRefused(
            RefusalReason.CORRUPT,
            f"The JPEG has {scans} scans, far more than a camera or viewer writes for its size. "
            "Export the image as PNG or baseline JPEG and send that.",
        )


def _check_pieces(image: TiffImagePlugin.TiffImageFile, data: bytes) -> None:
    """Refuse a TIFF whose strips or tiles have the decoder do the same work over and over."""
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


def _tiled_pixels(image: TiffImagePlugin.TiffImageFile) -> int:
    """Pixels of all of a TIFF's tiles, which may be far larger than the image; 0 without tiles."""
    width, length = (int(image.tag_v2.get(tag, 0)) for tag in (TILEWIDTH, TILELENGTH))
    if width < 1 or length < 1:
        return 0
    return -(-image.width // width) * width * -(-image.height // length) * length


@contextmanager
def _refusing_damage(name: str | None) -> Iterator[None]:
    """Turn whatever a decoder raises into a refusal: damaged bytes make it raise anything."""
    try:
        yield
    except ImageRefused:
        raise
    except Exception as error:
        raise _damaged(error, name or "image") from error


def _damaged(error: Exception, name: str) -> ImageRefused:
    """Say why the decoder gave up on an image."""
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return ImageRefused(
            RefusalReason.TOO_LARGE,
            f"There is not enough memory to decode this {name} image. "
            "Export it smaller: about 2000 pixels wide is plenty.",
        )
    if isinstance(error, RationUsedUp):
        return ImageRefused(
            RefusalReason.CORRUPT,
            f"The {name} file is made of far more pieces than a camera or viewer writes, or of "
            "filling. Export the image anew as PNG or JPEG and send that.",
        )
    if isinstance(error, EOFError) or "truncat" in text or "unexpected end" in text:
        return ImageRefused(
            RefusalReason.TRUNCATED,
            f"The {name} file ends before its image does: it was probably cut off while it was "
            "copied or sent. Send the whole file again.",
        )
    if "text chunks" in text:
        return ImageRefused(
            RefusalReason.CORRUPT,
            "The PNG file holds more than a million characters of text beside its image. Export "
            "the image anew as PNG or JPEG, without comments, and send that.",
        )
    if name == "JPEG" and "cannot handle" in text:
        return ImageRefused(
            RefusalReason.UNSUPPORTED_FORMAT,
            "This kind of JPEG (more than 8 bits, or an unusual number of colours) is not read. "
            "Export the image as PNG or as an ordinary JPEG and send that.",
        )
    return ImageRefused(
        RefusalReason.CORRUPT,
        f"The file begins like a {name} image, but it is damaged or of an unusual kind. "
        "Send it again; if it is refused again, export it as PNG or JPEG.",
    )
