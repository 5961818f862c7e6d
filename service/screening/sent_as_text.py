"""Tells an image that a client turned into text on its way, and how.

Programs do so by mistake: they put bytes into a string, or into JSON. What arrives is no image, and
often none can be had back from it; telling the sender to export it anew would mislead.
"""

import base64
import binascii
import codecs
import re
from typing import Final

from shared.imaging.file_types import accepted_format, is_dicom

_START: Final = 4096
"""Bytes that are looked at."""

_PIECE: Final = 64 * 1024
_FEW: Final = 64
"""Bytes beyond ASCII that an image may have which is dark and names somebody in UTF-8."""

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEXADECIMAL: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_JSON: Final = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\d])')
_BYTES_OF_PYTHON: Final = re.compile(rb"\s*b['\"]")


def sent_as_text(data: bytes) -> str | None:
    """Says what a file is that was an image before a client made text of it.

    Args:
        data: A file's bytes. The first of JPEG and PNG do not survive as text; those of others do.

    Returns:
        "the base64 text of a JPEG image", say; None where it is not such a file.
    """
    start = data[:_START]
    if start.lstrip()[:5].lower() == b"data:":
        return "a data URL"
    if _JSON.match(start):
        return "JSON"
    if _BYTES_OF_PYTHON.match(start):
        return "bytes as Python writes them"
    text = start.strip(b" \t\r\n\"'").replace(b"\r", b"").replace(b"\n", b"")
    if (found := _BASE64.match(text)) and (what := _image(_from_base64(found[0]))):
        return f"the base64 text of {what}"
    if (found := _HEXADECIMAL.match(text)) and (what := _image(bytes.fromhex(found[0].decode()))):
        return f"{what} in hexadecimal digits"
    return _characters(data)


def _characters(data: bytes) -> str | None:
    """What the bytes are as UTF-16 or UTF-8, one character for each byte that an image had."""
    for encoding in _encodings(data):
        first = _NOT_ASCII.search(data) if encoding == "utf-8" else None
        at = first.start() if first else 0
        characters = codecs.getincrementaldecoder(encoding)("ignore").decode(data[at : at + _START])
        if characters.count(_REPLACEMENT) > len(characters) / 50 + 1:
            return f"{encoding.upper()} text in which characters stand for bytes that were lost"
        start = codecs.getincrementaldecoder(encoding)("ignore").decode(data[:256]).lstrip("\ufeff")
        for single in ("latin-1", "cp1252"):
            if what := _image(start.encode(single, "replace")):
                return f"{what} as {encoding.upper()} text"
    return None


def _encodings(data: bytes) -> list[str]:
    """The encodings that so many bytes may be text in, which is not all of ASCII."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    wide = {"utf-16-le": data[1:128:2], "utf-16-be": data[0:128:2]}
    found = [encoding for encoding, high in wide.items() if high and set(high) <= {0x00, 0xFF}]
    return [*found, "utf-8"] if _beyond_ascii(data) > _FEW else found


def _beyond_ascii(data: bytes) -> int:
    """How many bytes of UTF-8 text stand for no ASCII; 0 where the bytes are no such text.

    All of them are looked at, as an image may begin with its darkest pixels; one that was not
    turned into text has a byte that is wrong at once.
    """
    decoder, count = codecs.getincrementaldecoder("utf-8")(), 0
    for at in range(0, len(data), _PIECE):
        piece = data[at : at + _PIECE]
        try:
            characters = decoder.decode(piece, final=at + _PIECE >= len(data))
        except UnicodeDecodeError:
            return 0
        count += len(piece) - len(characters)
    return count


def _image(start: bytes) -> str | None:
    """What a file is that begins so, where it is an image that is read."""
    if is_dicom(start):
        return "a DICOM file"
    known = accepted_format(start)
    return known and f"a {known} image"


def _from_base64(text: bytes) -> bytes:
    whole = text[: len(text) // 4 * 4].translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(whole)
    except binascii.Error:
        return b""
