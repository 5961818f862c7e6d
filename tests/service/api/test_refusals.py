"""Every way in which an upload can be wrong: always the one shape, with a stable type."""

import base64
import gzip
import io
import json
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.api.schemas import ProblemAnswer
from service.problems import PROBLEMS, TYPE_PREFIX
from shared.imaging.decode import PillowImage
from tests.service.conftest import Start
from tests.service.tiny_bundle import (
    NORMAL_LIKE,
    PNEUMONIA_LIKE,
    encode,
    publish_tiny,
    tilted,
    tiny_draft,
)

JPEG = encode(tilted(60, 180), "JPEG")


def expect(response: httpx.Response, status: int, slug: str) -> ProblemAnswer:
    """Checks that an answer is the problem it should be, in the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemAnswer.model_validate_json(response.content)
    assert problem.type == TYPE_PREFIX + slug
    assert problem.status == status
    assert problem.title == PROBLEMS[slug].title
    assert problem.request_id == response.headers["x-request-id"]
    assert len(problem.detail) > 20
    return problem


def large_png(width: int, height: int) -> bytes:
    """A PNG that says it is large and holds next to nothing: a decompression bomb."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10_000_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(tilted(60, level)) for level in (100, 150, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def webp_of_40_megapixels() -> bytes:
    return encode(np.zeros((6000, 6600), np.uint8), "WEBP", quality=1, method=0)


REFUSED: list[tuple[str, Callable[[], bytes], int, str]] = [
    ("empty", lambda: b"", 400, "empty-file"),
    ("text", lambda: b"hello, doctor", 415, "unsupported-format"),
    ("pdf", lambda: b"%PDF-1.7 and so on", 415, "unsupported-format"),
    ("gif", lambda: animation("GIF"), 415, "unsupported-format"),
    ("dicom of nothing", lambda: b"\0" * 128 + b"DICM" + b"\0" * 200, 422, "corrupt-image"),
    ("moving png", lambda: animation("PNG"), 415, "animated-image"),
    ("pages", lambda: animation("TIFF"), 415, "animated-image"),
    ("cut", lambda: JPEG[: len(JPEG) // 2], 422, "truncated-image"),
    ("damaged", lambda: PNEUMONIA_LIKE[:40] + b"\0" * 400, 422, "corrupt-image"),
    ("tiny", lambda: encode(tilted(1, 2, (20, 20))), 422, "image-too-small"),
    ("60 megapixels", lambda: large_png(10_000, 6_000), 413, "image-too-large"),
    ("costly", webp_of_40_megapixels, 413, "image-too-costly"),
]


@pytest.mark.parametrize(
    ("make", "status", "slug"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_cannot_be_screened_is_refused(
    client: httpx.Client, make: Callable[[], bytes], status: int, slug: str
) -> None:
    expect(client.post("/predict", files={"file": ("x.jpeg", make())}), status, slug)
    assert client.post("/predict", content=NORMAL_LIKE).status_code == 200


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> dict[str, object]:
    lines = [b'--b\r\nContent-Disposition: form-data; name="' + part + b"\r\n" for part in parts]
    return {
        "content": b"".join(lines) + end,
        "headers": {"Content-Type": "multipart/form-data; boundary=b"},
    }


FILE = b'file"; filename="x"\r\n\r\n' + NORMAL_LIKE
WRONG_FORMS: list[tuple[str, dict[str, object], int, str]] = [
    ("nothing", {}, 400, "no-file"),
    ("no parts", form(), 400, "no-file"),
    ("nothing chosen", form(b'file"; filename=""\r\n\r\n'), 400, "no-file"),
    ("two files", form(FILE, FILE), 400, "several-files"),
    ("another name", form(b'image"; filename="x"\r\n\r\n' + NORMAL_LIKE), 400, "unknown-field"),
    ("one more field", form(FILE, b'patient"\r\n\r\n1'), 400, "unknown-field"),
    ("no end", form(FILE, end=b""), 400, "malformed-upload"),
    ("garbage", {**form(), "content": b"\r\n\r\n--x"}, 400, "malformed-upload"),
    (
        "no boundary",
        {"content": NORMAL_LIKE, "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "malformed-upload",
    ),
    (
        "endless header",
        form(b'file"; filename="' + b"x" * 100_000 + b'"\r\n\r\n' + NORMAL_LIKE),
        400,
        "malformed-upload",
    ),
    (
        "gzip",
        {"content": gzip.compress(NORMAL_LIKE), "headers": {"Content-Encoding": "gzip"}},
        415,
        "encoded-upload",
    ),
    ("wrong parameter", {"params": {"heatmap": "perhaps"}}, 422, "invalid-parameter"),
]


@pytest.mark.parametrize(
    ("request_with", "status", "slug"),
    [case[1:] for case in WRONG_FORMS],
    ids=[case[0] for case in WRONG_FORMS],
)
def test_a_wrong_request_is_refused(
    client: httpx.Client, request_with: dict[str, object], status: int, slug: str
) -> None:
    expect(client.post("/predict", **request_with), status, slug)  # type: ignore[arg-type]


def test_other_addresses_and_methods_are_problems_too(client: httpx.Client) -> None:
    expect(client.get("/nothing/../here"), 404, "not-found")
    expect(client.get("/predict/"), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD, POST"),
        ("/predict", "POST"),
        ("/livez", "GET, HEAD"),
        ("/model", "GET, HEAD"),
        ("/docs/start.js", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
def test_another_method_is_told_all_that_the_address_takes(
    client: httpx.Client, path: str, allowed: str
) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} - {*allowed.split(", ")}:
        wrong = client.request(method, path)
        assert wrong.headers["allow"] == allowed
        if method == "HEAD":  # answered without its body (RFC 9110, section 9.3.2)
            assert wrong.status_code == 405
        else:
            assert allowed in expect(wrong, 405, "method-not-allowed").detail


def test_curl_d_is_told_the_right_command(client: httpx.Client) -> None:
    damaged = JPEG.replace(b"\r", b"").replace(b"\n", b"")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post("/predict", content=b"file=@x.jpeg", headers=headers)
    assert "curl -F file=@" in expect(response, 415, "unsupported-format").detail
    response = client.post("/predict", content=damaged[:-300], headers=headers)
    assert "curl -F file=@" in response.json()["detail"]


def test_curl_data_binary_is_not_blamed_for_what_is_wrong_otherwise(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    small = encode(tilted(1, 2, (20, 20)))
    response = client.post("/predict", content=small, headers=headers)
    assert "curl" not in expect(response, 422, "image-too-small").detail


def test_the_body_limit_holds_with_and_without_a_length(start: Start) -> None:
    client = start(body_limit=4096)
    expect(client.post("/predict", content=bytes(60_000)), 413, "upload-too-large")
    pieces = (bytes(1000) for _ in range(60))
    expect(client.post("/predict", content=pieces), 413, "upload-too-large")
    expect(client.post("/predict", files={"file": bytes(5000)}), 413, "upload-too-large")


def test_the_body_limit_is_exact_for_a_body_and_for_a_file(start: Start) -> None:
    client = start(body_limit=2000)
    largest = PNEUMONIA_LIKE + bytes(2000 - len(PNEUMONIA_LIKE))
    assert client.post("/predict", content=largest).status_code == 200
    assert client.post("/predict", files={"file": largest}).status_code == 200
    one_more = largest + b"\0"
    expect(client.post("/predict", content=one_more), 413, "upload-too-large")
    expect(client.post("/predict", content=iter([one_more])), 413, "upload-too-large")
    expect(client.post("/predict", files={"file": one_more}), 413, "upload-too-large")


def test_no_heatmap_where_the_model_has_none(tmp_path: Path, start: Start) -> None:
    models = tmp_path / "models"
    publish_tiny(models, tiny_draft().model_copy(update={"heatmap": False}))
    client = start(models=models)
    expect(client.post("/explain", content=NORMAL_LIKE), 422, "no-heatmap")
    answer = client.post("/predict?heatmap=true", content=NORMAL_LIKE)
    assert answer.status_code == 200
    assert answer.json()["heatmap"] is None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
@pytest.mark.parametrize("form", [False, True])
def test_a_content_coding_is_refused_before_the_upload_is_read(
    client: httpx.Client, coding: str, form: bool
) -> None:
    """Not said to be a gzip archive, or a form that is cut off: how it was sent is at fault."""
    packed = gzip.compress(NORMAL_LIKE)
    headers = {"Content-Encoding": coding}
    sent: dict[str, Any] = {"files": {"file": packed}} if form else {"content": packed}
    response = client.post("/predict", headers=headers, **sent)
    detail = expect(response, 415, "encoded-upload").detail
    assert f"Content-Encoding: {coding}" in detail
    assert response.headers["accept-encoding"] == "identity"
    assert "read;dur" not in response.headers.get("server-timing", "")


def test_the_coding_that_is_none_is_accepted(client: httpx.Client) -> None:
    headers = {"Content-Encoding": "Identity"}
    assert client.post("/predict", content=NORMAL_LIKE, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "turn",
    [
        lambda image: image.decode("utf-8", "replace").encode(),
        lambda image: image.decode("latin-1").encode("utf-16"),
        lambda image: base64.b64encode(image),
        lambda image: b"data:image/png;base64," + base64.b64encode(image),
        lambda image: json.dumps({"file": base64.b64encode(image).decode()}).encode(),
    ],
    ids=["replaced", "UTF-16", "base64", "data URL", "JSON"],
)
@pytest.mark.parametrize("image", [JPEG, encode(tilted(60, 180), "TIFF")], ids=["JPEG", "TIFF"])
def test_an_image_that_became_text_is_blamed_on_the_client_that_made_it_so(
    client: httpx.Client, image: bytes, turn: Callable[[bytes], bytes]
) -> None:
    for sent in ({"content": turn(image)}, {"files": {"file": turn(image)}}):
        response = client.post("/predict", **sent)
        detail = expect(response, 415, "unsupported-format").detail
        assert "your client sent the image as text: send the raw bytes" in detail
        assert "xport" not in detail


def test_an_image_that_gets_no_memory_in_time_is_turned_away(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, begun = threading.Event(), threading.Event()
    decode = PillowImage.decode

    def decode_slowly(image: PillowImage) -> NDArray[np.uint8]:
        begun.set()
        free.wait(60)
        return decode(image)

    monkeypatch.setattr(PillowImage, "decode", decode_slowly)
    client = start(decoded_budget=1024 * 1024, answer_seconds=2)
    first = threading.Thread(target=lambda: client.post("/predict", content=NORMAL_LIKE))
    first.start()
    try:
        assert begun.wait(30)
        answer = client.post("/predict", content=NORMAL_LIKE)
        expect(answer, 503, "overloaded")
        assert "memory" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"
        assert "xray_running 1.0" in client.get("/metrics").text, "the first alone"
    finally:
        free.set()
        first.join()
    assert client.post("/predict", content=NORMAL_LIKE).status_code == 200
