"""Reads `multipart/form-data` (RFC 7578) from chunks, in memory: nothing is spooled to disk."""

from dataclasses import dataclass
from io import BytesIO
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.problems import MALFORMED_UPLOAD, Problem

_WHAT_TO_DO: Final = "Send the image as the field `file`, for example: curl -F file=@image.jpeg URL"
_HEADERS_A_PART: Final = 16


@dataclass
class Part:
    """One part of a form.

    Attributes:
        name: The field's name.
        is_file: Whether it came with a file name. The name itself is not kept: it may name a
            patient.
        has_name: Whether that file name is more than an empty string.
        content: Its bytes; emptied where there are more than the limit.
        size: How many bytes there were.
    """

    name: str = ""
    is_file: bool = False
    has_name: bool = False
    content: bytes = b""
    size: int = 0


class FormReader:
    """Takes a form's chunks, gives its parts as each one ends."""

    def __init__(self, content_type: str, part_limit: int, most_parts: int = 16) -> None:
        """Prepares to read.

        Args:
            content_type: The request's `Content-Type`, with the boundary.
            part_limit: Bytes of a part to keep; a longer one is measured and its content dropped.
            most_parts: How many parts to accept: a small body can hold very many empty ones.

        Raises:
            Problem: `malformed-upload`; there is no usable boundary.
        """
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Problem(
                MALFORMED_UPLOAD,
                "The Content-Type is multipart/form-data without a boundary. Let the client "
                f"library set that header. {_WHAT_TO_DO}",
            )
        self._delimiter = b"\r\n--" + boundary  # may not stand in a part (RFC 2046, 5.1.1)
        self._delimiters = 0
        self._most = most_parts
        self._parts = parts = _Parts(part_limit, most_parts)
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": parts.begin,
                    "on_header_begin": parts.begin_header,
                    "on_header_field": parts.extend_name,
                    "on_header_value": parts.extend_value,
                    "on_header_end": parts.end_header,
                    "on_part_data": parts.extend,
                    "on_part_end": parts.end,
                    "on_end": parts.end_all,
                },
                max_header_count=_HEADERS_A_PART,
            )
        except FormParserError as error:
            raise _malformed(error) from None

    @property
    def kept(self) -> int:
        """Bytes in memory of the part that did not end yet."""
        return self._parts.kept

    def feed(self, chunk: bytes) -> list[Part]:
        """Reads one more chunk.

        Returns:
            The parts that ended in it.

        Raises:
            Problem: `malformed-upload`.
        """
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > 2 * self._most:  # each costs the parser far more than other bytes
            raise _malformed("its boundary stands in its content")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(error) from None
        return self._parts.take()

    def finish(self) -> None:
        """Says that there are no more chunks.

        Raises:
            Problem: `malformed-upload`; the form is not complete.
        """
        if not self._parts.ended:
            raise _malformed("it ends before its closing boundary")


class _Parts:
    """What the parser makes of a form.

    It does not refer to the parser, which refers to it: otherwise a form would be in memory until
    the garbage collector came by.
    """

    def __init__(self, limit: int, most: int) -> None:
        self.kept = 0
        self.ended = False
        self._limit = limit
        self._most = most
        self._begun = 0
        self._done: list[Part] = []
        self._name, self._value = bytearray(), bytearray()
        self._reset()

    def take(self) -> list[Part]:
        done, self._done = self._done, []
        return done

    def begin(self) -> None:
        self._begun += 1
        if self._begun > self._most:
            raise _malformed(f"it has more than {self._most} parts")
        self._reset()

    def begin_header(self) -> None:
        self._name, self._value = bytearray(), bytearray()

    def extend_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def extend_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            options = parse_options_header(bytes(self._value))[1]
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            self._part.is_file = b"filename" in options
            self._part.has_name = bool(options.get(b"filename"))

    def extend(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        if part.size > self._limit:
            self._content = BytesIO()
            self.kept = 0
        else:
            self._content.write(memoryview(data)[start:end])
            self.kept = part.size

    def end(self) -> None:
        self._part.content = self._content.getvalue()
        self._done.append(self._part)
        self._reset()

    def end_all(self) -> None:
        self.ended = True

    def _reset(self) -> None:
        self._part = Part()
        self._content = BytesIO()  # it gives its bytes away uncopied, and is made of no pieces
        self.kept = 0


def _malformed(why: object) -> Problem:
    return Problem(MALFORMED_UPLOAD, f"The multipart form cannot be read: {why}. {_WHAT_TO_DO}")
