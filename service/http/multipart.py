"""Reads `multipart/form-data` (RFC 7578) from a body that is in memory: nothing is spooled to disk.

The whole body is there already, so that finding its parts is a search for the boundary; the headers
of a part are read by the standard library, folded ones included.
"""

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Final

from service.problems import Problem

_WHAT_TO_DO: Final = "Send the image as the field `file`, for example: curl -F file=@image.jpeg URL"
_MOST_PARTS: Final = 16
"""How many parts to accept: a small body can hold very many empty ones."""
_MOST_HEAD: Final = 8192
"""Bytes of a part's headers."""

# RFC 2046, section 5.1.1; many clients use other characters, too.
_BOUNDARY: Final = re.compile(r"[^\r\n]{1,200}")
_END_OF_LINE: Final = re.compile(rb"[ \t]*\r\n")


@dataclass(frozen=True)
class Part:
    """One part of a form.

    Attributes:
        name: The field's name.
        unchosen: Whether its file name is empty, as of a field in which no file was chosen. A name
            itself is not kept: it may name a patient.
        content: Its bytes.
    """

    name: str
    unchosen: bool
    content: bytes


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts of a form, as its `Content-Type` says.

    Raises:
        Problem: `malformed-upload`; there is none that is usable.
    """
    boundary = _parameter(_headers(f"Content-Type: {content_type}"), "boundary", "content-type")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise Problem(
            "malformed-upload",
            "The Content-Type is multipart/form-data without a boundary of 1 to 200 characters. "
            f"Let the client library set that header. {_WHAT_TO_DO}",
        )
    return boundary.encode("utf-8", "replace")


def read_form(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a form. What stands before its first boundary and after its last is left out.

    Raises:
        Problem: `malformed-upload`.
    """
    delimiter = b"\r\n--" + boundary  # may not stand in a part (RFC 2046, 5.1.1)
    at = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if at == 1:
        raise _malformed("the boundary that its Content-Type announces is not in it")
    parts: list[Part] = []
    while True:
        at += len(delimiter) - 2
        if body.startswith(b"--", at):
            return parts
        if len(parts) == _MOST_PARTS:
            raise _malformed(f"it has more than {_MOST_PARTS} parts")
        line = _END_OF_LINE.match(body, at)
        if line is None:
            raise _malformed("its boundary stands in its content, or a line does not end in CR LF")
        end = body.find(delimiter, line.end() - 2)
        if end < 0:
            raise _malformed("it ends before its closing boundary")
        parts.append(_part(body, line.end(), end))
        at = end + 2


def _part(body: bytes, start: int, end: int) -> Part:
    """The part between two boundaries: headers, an empty line, content."""
    gap = body.find(b"\r\n\r\n", start - 2, min(start + _MOST_HEAD, end + 2))
    if gap < 0:
        raise _malformed(
            f"the headers of a part do not end in an empty line within {_MOST_HEAD} bytes"
        )
    headers = _headers(body[start:gap].decode("utf-8", "replace"))
    name = _parameter(headers, "name", "content-disposition")
    if name is None:
        raise _malformed("a part has no header Content-Disposition with a name")
    unchosen = _parameter(headers, "filename", "content-disposition") == ""
    return Part(name, unchosen, body[gap + 4 : end])


def _headers(text: str) -> Message:
    return HeaderParser().parsestr(text)


def _parameter(headers: Message, name: str, header: str) -> str | None:
    """A header's parameter (RFC 2183 and 2231), None where it has none."""
    value = headers.get_param(name, None, header)
    return None if value is None else collapse_rfc2231_value(value)


def _malformed(why: str) -> Problem:
    return Problem("malformed-upload", f"The multipart form cannot be read: {why}. {_WHAT_TO_DO}")
