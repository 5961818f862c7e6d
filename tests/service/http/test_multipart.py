"""Multipart forms, cut anywhere, whole or not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.multipart import FormReader, Part
from service.problems import MALFORMED_UPLOAD, Problem

CONTENT_TYPE = "multipart/form-data; boundary=xyz"


def form(*fields: tuple[str, str | None, bytes]) -> bytes:
    body = b""
    for name, filename, content in fields:
        head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        body += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--xyz--\r\n"


def read(body: bytes, cuts: list[int], limit: int = 1000) -> list[Part]:
    reader = FormReader(CONTENT_TYPE, limit)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    parts = []
    for start, end in pairwise(edges):
        parts += reader.feed(body[start:end])
    reader.finish()
    return parts


@given(
    st.lists(st.binary(max_size=300).filter(lambda content: b"--xyz" not in content), max_size=4),
    st.lists(st.integers(0, 5000), max_size=8),
)
def test_parts_come_whole_however_the_body_is_cut(contents: list[bytes], cuts: list[int]) -> None:
    body = form(*(("file", "x", content) for content in contents))
    assert [part.content for part in read(body, cuts)] == contents


@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=5))
def test_nonsense_is_a_problem_and_nothing_else(body: bytes, cuts: list[int]) -> None:
    with pytest.raises(Problem) as malformed:
        read(body, cuts)
    assert malformed.value.kind is MALFORMED_UPLOAD


def test_names_are_told_apart() -> None:
    file, nothing, value = read(
        form(("file", "x", b"1"), ("file", "", b""), ("key", None, b"k")), []
    )
    assert (file.name, file.is_file, file.has_name) == ("file", True, True)
    assert (nothing.is_file, nothing.has_name, nothing.size) == (True, False, 0)
    assert (value.name, value.is_file, value.content) == ("key", False, b"k")


def test_a_part_over_the_limit_is_measured_and_dropped() -> None:
    parts = read(form(("file", "x", b"a" * 5000), ("file", "y", b"b")), [100, 2000, 3000])
    assert [(part.size, part.content) for part in parts] == [(5000, b""), (1, b"b")]


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 500]
)
def test_without_a_usable_boundary_nothing_is_read(content_type: str) -> None:
    with pytest.raises(Problem) as malformed:
        FormReader(content_type, 10)
    assert malformed.value.kind is MALFORMED_UPLOAD


def test_a_form_of_very_many_parts_is_refused_early() -> None:
    body = form(*[("file", "x", b"")] * 17)
    with pytest.raises(Problem, match="16 parts"):
        read(body, [])


def test_a_boundary_that_stands_in_its_content_is_refused_before_it_is_looked_at() -> None:
    """The parser goes through each of them byte by byte: 16 MB would take it seconds."""
    reader = FormReader(CONTENT_TYPE, 1000)
    reader.feed(form(("file", "x", b"x"))[:-10])
    with pytest.raises(Problem, match="boundary stands in its content") as refused:
        reader.feed(b"\r\n--xyz\rx" * 1000)
    assert refused.value.kind is MALFORMED_UPLOAD
