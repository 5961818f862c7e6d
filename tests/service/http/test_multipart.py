"""Multipart forms: whole or not, as clients send them and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.multipart import Part, boundary_of, read_form
from service.problems import Problem


def form(*fields: tuple[str, str | None, bytes]) -> bytes:
    body = b""
    for name, filename, content in fields:
        head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        body += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--xyz--\r\n"


def read(body: bytes) -> list[Part]:
    return read_form(body, b"xyz")


def refusal(body: bytes) -> str:
    with pytest.raises(Problem) as malformed:
        read(body)
    assert malformed.value.kind.slug == "malformed-upload"
    return malformed.value.detail


FILE = form(("file", "x", b"1"))


@given(
    st.lists(st.binary(max_size=300).filter(lambda content: b"--xyz" not in content), max_size=4)
)
def test_parts_come_whole(contents: list[bytes]) -> None:
    body = form(*(("file", "x", content) for content in contents))
    assert [part.content for part in read(body)] == contents


@given(st.binary(max_size=400), st.integers(0, len(FILE)), st.integers(0, len(FILE)))
def test_nonsense_is_a_problem_or_a_form_and_nothing_else(body: bytes, a: int, b: int) -> None:
    assert refusal(body)
    try:
        read(FILE[:a] + body + FILE[b:])
    except Problem as malformed:
        assert malformed.kind.slug == "malformed-upload"


@given(st.text(alphabet="\"';=*%()<>, \\\t\0éabc0utf-8\r\n", max_size=60))
def test_parameters_of_any_kind_raise_nothing_else(text: str) -> None:
    for field in ("name", "name=file; filename"):
        try:
            read(f"--xyz\r\nContent-Disposition: form-data; {field}{text}\r\n\r\n--xyz--".encode())
        except Problem as malformed:
            assert malformed.kind.slug == "malformed-upload"
    try:
        boundary_of(f"multipart/form-data; boundary{text}")
    except Problem as malformed:
        assert malformed.kind.slug == "malformed-upload"


def test_names_are_told_apart() -> None:
    file, nothing, value = read(form(("file", "x", b"1"), ("file", "", b""), ("key", None, b"k")))
    assert (file.name, file.unchosen) == ("file", False)
    assert (nothing.unchosen, nothing.content) == (True, b"")
    assert (value.name, value.unchosen, value.content) == ("key", False, b"k")


def test_what_stands_around_the_parts_is_left_out() -> None:
    """RFC 2046, section 5.1.1: a preamble, an epilogue, spaces after a boundary."""
    body = b"This is a message in MIME format.\r\n" + FILE.replace(b"xyz\r\n", b"xyz \t\r\n", 1)
    for whole in (body, b"\r\n" + body, body + b"an epilogue\r\n--xyz", body[:-2]):
        assert [part.content for part in read(whole)] == [b"1"]


@pytest.mark.parametrize(
    "header",
    [
        'Content-Disposition: form-data;\r\n name="file";\r\n\tfilename="NAME"',
        "content-disposition:form-data;name=file;filename=NAME",
        "Content-Disposition: form-data; name=\"file\"; filename*=utf-8''NAME",
        'X-Other: 1\r\nContent-Disposition: form-data; filename="NAME"; name="file"\r\nX: 2',
    ],
    ids=["folded", "close", "encoded name", "among others"],
)
def test_headers_are_read_as_clients_write_them(header: str) -> None:
    for name, unchosen in (("%e2%82%ac", False), ("", True)):
        named = header.replace("NAME", name)
        (part,) = read(f"--xyz\r\n{named}\r\n\r\n1\r\n--xyz--".encode())
        assert (part.name, part.unchosen, part.content) == ("file", unchosen, b"1")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "boundary that its Content-Type announces is not in it"),
        (FILE[:-20], "ends before its closing boundary"),
        (FILE.replace(b"xyz\r\n", b"xyz\n"), "does not end in CR LF"),
        (b"--xyz\r\n\r\n1\r\n--xyz--", "no header Content-Disposition with a name"),
        (FILE.replace(b"\r\n\r\n", b"\r\n"), "do not end in an empty line"),
        (form(("file", "x" * 9000, b"1")), "do not end in an empty line within 8192"),
        (form(*[("file", "x", b"")] * 17), "more than 16 parts"),
        (form(("file", "x", b"\r\n--xyz\rx" * 1000)), "boundary stands in its content"),
    ],
)
def test_what_cannot_be_read_is_said_to_be_why(body: bytes, why: str) -> None:
    detail = refusal(body)
    assert why in detail
    assert "curl -F file=@" in detail


def test_a_boundary_is_read_as_clients_write_it() -> None:
    assert boundary_of("multipart/form-data; boundary=xyz") == b"xyz"
    assert boundary_of('Multipart/Form-Data; charset=utf-8; BOUNDARY="x y"') == b"x y"


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/x; boundary={'x' * 500}"],
)
def test_without_a_usable_boundary_nothing_is_read(content_type: str) -> None:
    with pytest.raises(Problem) as malformed:
        boundary_of(content_type)
    assert malformed.value.kind.slug == "malformed-upload"
