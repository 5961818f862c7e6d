"""What a file is, by its first bytes."""

import codecs
from typing import Final

_ACCEPTED: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
)

# Named in refusals, so that a sender recognises what they sent.
_OTHERS: Final = (
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"II+\x00", "a BigTIFF image"),
    (b"MM\x00+", "a BigTIFF image"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "a text document"),
)

_HEIF_BRANDS: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")
_AVIF_BRANDS: Final = (b"avif", b"avis")

# A DICOM file without its preamble begins with group 0002 or 0008, whose first elements are the
# length of the group (PS3.10, section 7.1), the character set, or what kind of image it is.
_BARE_DICOM: Final = (
    b"\x02\x00\x00\x00UL",
    *(bytes((8, 0, element, 0)) for element in (0x00, 0x05, 0x08, 0x12, 0x16, 0x18)),
    b"\x00\x08\x00\x05CS",  # big-endian
)


def accepted_format(data: bytes) -> str | None:
    """Name the accepted format of `data`, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _ACCEPTED if data.startswith(magic)), None)


def is_dicom(data: bytes) -> bool:
    """Whether `data` is a DICOM file.

    The prefix "DICM" stands after a preamble of 128 bytes, which may itself look like the header
    of a TIFF file (DICOM PS3.10, section 7.1).
    """
    return data[128:132] == b"DICM" or data.startswith(_BARE_DICOM)


def is_text_mode_copy(data: bytes) -> bool:
    """Whether each line feed has a carriage return before it, as of a file that was copied as text.

    In an image one in 256 has; that all of 16 or more have it by chance does not happen. The first
    64 KiB are looked at.
    """
    lines = data.count(b"\n", 0, 65_536)
    return lines >= 16 and lines == data.count(b"\r\n", 0, 65_536)


def describe(data: bytes) -> str:
    """Say what `data` looks like, for the sender: "a PDF document"."""
    for magic, what in _OTHERS:
        if data.startswith(magic):
            return what
    if data[4:8] == b"ftyp":
        if data[8:12] in _HEIF_BRANDS:
            return "a HEIC photo"
        return "an AVIF image" if data[8:12] in _AVIF_BRANDS else "a video or other media file"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith(b"data:image/"):
        return "a base64 text of an image (send its bytes instead)"
    if _is_text(data[:1024]):
        return "a text file"
    return f"a file of an unknown kind ({len(data):,} bytes)"


def _is_text(start: bytes) -> bool:
    """Whether `start` reads as UTF-8 text."""
    # Incrementally, as a character may be cut in two at the end of `start`.
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)
