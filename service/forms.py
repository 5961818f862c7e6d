"""Reads `multipart/form-data` (RFC 7578) from chunks, in memory: nothing is spooled to disk."""

from dataclasses import dataclass, field
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
    pieces: list[bytes] = field(default_factory=list, repr=False)


class FormReader:
    """Takes a form's chunks, gives its parts as each one ends.

    Attributes:
        kept: Bytes in memory of the part that did not end yet.
    """

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
        self._limit = part_limit
        self._delimiter = b"\r\n--" + boundary  # may not stand in a part (RFC 2046, 5.1.1)
        self._delimiters = 0
        self._most = most_parts
        self._begun = 0
        self.kept = 0
        self._done: list[Part] = []
        self._part = Part()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_begin": self._begin_header,
                    "on_header_field": lambda data, start, end: self._header[0].extend(
                        data[start:end]
                    ),
                    "on_header_value": lambda data, start, end: self._header[1].extend(
                        data[start:end]
                    ),
                    "on_header_end": self._end_header,
                    "on_part_data": self._extend_part,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=_HEADERS_A_PART,
            )
        except FormParserError as error:
            raise _malformed(error) from None

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
        done, self._done = self._done, []
        return done

    def finish(self) -> None:
        """Says that there are no more chunks.

        Raises:
            Problem: `malformed-upload`; the form is not complete.
        """
        if not self._ended:
            raise _malformed("it ends before its closing boundary")

    def _begin_part(self) -> None:
        self._begun += 1
        if self._begun > self._most:
            raise _malformed(f"it has more than {self._most} parts")
        self._part = Part()

    def _begin_header(self) -> None:
        self._header = (bytearray(), bytearray())

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            options = parse_options_header(bytes(value))[1]
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            self._part.is_file = b"filename" in options
            self._part.has_name = bool(options.get(b"filename"))

    def _extend_part(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        if part.size > self._limit:
            part.pieces.clear()
            self.kept = 0
        else:
            part.pieces.append(data[start:end])
            self.kept = part.size

    def _end_part(self) -> None:
        part = self._part
        part.content = part.pieces[0] if len(part.pieces) == 1 else b"".join(part.pieces)
        part.pieces.clear()
        self.kept = 0
        self._done.append(part)

    def _end(self) -> None:
        self._ended = True


def _malformed(why: object) -> Problem:
    return Problem(MALFORMED_UPLOAD, f"The multipart form cannot be read: {why}. {_WHAT_TO_DO}")
