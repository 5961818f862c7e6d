"""Why bytes are no image that can be screened: a reason for programs, and one for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from shared.imaging.rationed_file import RationUsedUp

ACCEPTED: Final = "JPEG, PNG, TIFF, BMP, WebP and DICOM"


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
    NOT_A_CHEST = "not_a_chest"


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


def cut_off(name: str) -> ImageRefused:
    """The refusal of a file that ends too early.

    Args:
        name: Its format.
    """
    return ImageRefused(
        RefusalReason.TRUNCATED,
        f"The {name} file ends before its image does: it was probably cut off while it was "
        "copied or sent. Send the whole file again.",
    )


@contextmanager
def refusing_damage(name: str | None) -> Iterator[None]:
    """Turn whatever a decoder raises into a refusal: damaged bytes make it raise anything.

    Args:
        name: The format that the file begins like.

    Raises:
        ImageRefused: Something was raised.
    """
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
        return cut_off(name)
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
