"""Images that a client turned into text, in all the ways that programs do."""

import base64
import json
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from service.screening.sent_as_text import sent_as_text
from tests.shared.imaging.pictures import encode


def noise(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)


FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "WEBP"]
WAYS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "base64": (base64.b64encode, "base64"),
    "base64 in lines": (base64.encodebytes, "base64"),
    "base64 in quotes": (lambda data: b'"' + base64.b64encode(data) + b'"', "base64"),
    "base64 of addresses": (base64.urlsafe_b64encode, "base64"),
    "data URL": (lambda data: b"data:image/jpeg;base64," + base64.b64encode(data), "data URL"),
    "JSON": (lambda data: json.dumps({"image": base64.b64encode(data).decode()}).encode(), "JSON"),
    "list of numbers": (lambda data: json.dumps(list(data)).encode(), "JSON"),
    "Buffer of Node": (
        lambda data: json.dumps({"type": "Buffer", "data": list(data)}).encode(),
        "JSON",
    ),
    "repr": (lambda data: repr(data).encode(), "Python"),
    "hexadecimal": (lambda data: data.hex().encode(), "hexadecimal"),
    "UTF-8, replaced": (lambda data: data.decode("utf-8", "replace").encode(), "lost"),
    "UTF-16, replaced": (lambda data: data.decode("utf-8", "replace").encode("utf-16"), "lost"),
    "Latin-1 as UTF-8": (lambda data: data.decode("latin-1").encode(), "UTF-8"),
    "Latin-1 as UTF-8 with its mark": (
        lambda data: data.decode("latin-1").encode("utf-8-sig"),
        "UTF-8",
    ),
    "Windows' as UTF-8": (
        lambda data: data.decode("cp1252", "replace").encode(),
        "UTF-8",
    ),
    "UTF-16": (lambda data: data.decode("latin-1").encode("utf-16"), "UTF-16"),
    "UTF-16 without its mark": (lambda data: data.decode("latin-1").encode("utf-16-le"), "UTF-16"),
    "UTF-16, big end": (lambda data: data.decode("latin-1").encode("utf-16-be"), "UTF-16"),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("turn", "told"), WAYS.values(), ids=WAYS.keys())
def test_text_that_was_an_image_is_told(
    kind: str, turn: Callable[[bytes], bytes], told: str
) -> None:
    image = encode(noise((80, 90)), kind)
    assert told in (sent_as_text(turn(image)) or "")


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
@pytest.mark.parametrize("errors", ["replace", None])
def test_text_is_told_where_an_image_begins_dark(kind: str, errors: str | None) -> None:
    pixels = np.zeros((300, 300), np.uint8)
    pixels[100:200] = noise((100, 300))
    image = encode(pixels, kind)
    text = image.decode("utf-8", errors) if errors else image.decode("latin-1")
    assert "UTF-8" in (sent_as_text(text.encode()) or "")


def test_a_dark_image_that_names_somebody_is_no_text() -> None:
    name = "Zoë Müller".encode()
    dark = encode(np.full((100, 100), 9, np.uint8), "TIFF", description="x" * len(name))
    assert b"x" * len(name) in dark
    assert sent_as_text(dark.replace(b"x" * len(name), name)) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_is_no_text(kind: str) -> None:
    for size in ((80, 90), (300, 200)):
        whole = encode(noise(size), kind)
        black = encode(np.zeros(size, np.uint8), kind)
        for image in (whole, black):
            assert sent_as_text(image) is None
            assert sent_as_text(image[: len(image) // 2]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"hello, doctor",
        b"%PDF-1.7 and so on",
        b"PatientName,Age\r\nx,7\r\n" * 99,
        "Röntgenbild der Lunge, Größe".encode() * 20,
        "胸部X線".encode("utf-16") * 20,
        b"0123456789abcdef" * 9,
        bytes(5000),
        b"\xff" * 5000,
        b"[Settings]\r\nname=value\r\n",
    ],
)
def test_other_files_are_not_blamed_on_the_client(data: bytes) -> None:
    assert sent_as_text(data) is None
