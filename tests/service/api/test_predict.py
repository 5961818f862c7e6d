"""POST /predict: what it answers, and how an image may be sent."""

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from service.api.schemas import Answer
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE, encode, tilted


def upload(client: httpx.Client, image: bytes, **options: Any) -> dict[str, Any]:
    response = client.post("/predict", files={"file": ("x.png", image)}, **options)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_the_answer_depends_on_the_pixels(client: httpx.Client) -> None:
    assert upload(client, PNEUMONIA_LIKE)["label"] == "PNEUMONIA"
    assert upload(client, NORMAL_LIKE)["label"] == "NORMAL"


def test_the_answer_is_whole_and_consistent(client: httpx.Client) -> None:
    answer = Answer.model_validate(upload(client, PNEUMONIA_LIKE))
    assert answer.probability >= answer.threshold
    assert answer.probability == answer.probabilities.PNEUMONIA
    assert answer.probabilities.NORMAL + answer.probability == pytest.approx(1)
    assert answer.causes is not None
    assert pytest.approx(answer.probability) == answer.causes.BACTERIAL + answer.causes.VIRAL
    assert answer.model.version == client.get("/model").json()["version"]
    assert answer.heatmap is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_every_accepted_format_gets_the_same_answer(client: httpx.Client, kind: str) -> None:
    answer = upload(client, encode(tilted(60, 180), kind))
    assert answer["probability"] == pytest.approx(
        upload(client, PNEUMONIA_LIKE)["probability"], abs=0.02
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "image/jpeg",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        None,
    ],
)
def test_a_raw_body_is_taken_by_its_content(client: httpx.Client, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/predict", content=PNEUMONIA_LIKE, headers=headers)
    assert response.json()["label"] == "PNEUMONIA"


@pytest.mark.parametrize("name", ["", "x.exe", "../../etc/passwd", "ä\U0001f469 ż.png", "a" * 3000])
def test_the_file_name_does_not_matter(client: httpx.Client, name: str) -> None:
    form = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    response = client.post(
        "/predict",
        content=form + PNEUMONIA_LIKE + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 200, response.text


def test_a_field_without_a_file_name_is_taken_too(client: httpx.Client) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PNEUMONIA_LIKE
    response = client.post(
        "/predict",
        content=form + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert response.json()["label"] == "PNEUMONIA"


def test_the_heatmap_is_a_small_png_with_transparency(client: httpx.Client) -> None:
    heatmap = upload(client, PNEUMONIA_LIKE, params={"heatmap": "true"})["heatmap"]
    assert isinstance(heatmap, dict)
    picture = Image.open(io.BytesIO(base64.b64decode(heatmap["png"])))
    assert picture.size == (heatmap["width"], heatmap["height"]) == (224, 224)
    assert picture.has_transparency_data
    assert len(heatmap["png"]) < 60_000


def test_explain_is_reduced_to_1024_pixels(client: httpx.Client) -> None:
    large = encode(tilted(60, 180, (1500, 2048)), "JPEG")
    response = client.post("/explain", files={"file": large})
    assert response.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(response.content)).size == (1024, 750)


def test_explain_turns_what_was_stored_lying_on_its_side(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = encode(tilted(60, 180, (2000, 1000)), "JPEG", exif=exif)
    response = client.post("/explain", files={"file": lying})
    assert Image.open(io.BytesIO(response.content)).size == (1024, 512)


def test_the_request_id_is_echoed_if_plain_and_made_otherwise(client: httpx.Client) -> None:
    for offered, echoed in (("order-17:a", True), ("a b", False), ("x" * 200, False), ("", False)):
        response = client.post("/predict", content=NORMAL_LIKE, headers={"X-Request-ID": offered})
        assert response.json()["request_id"] == response.headers["x-request-id"]
        assert (response.headers["x-request-id"] == offered) is echoed


def test_server_timing_tells_every_stage(client: httpx.Client) -> None:
    timing = client.post("/predict", content=NORMAL_LIKE).headers["server-timing"]
    assert [stage.split(";")[0] for stage in timing.split(", ")] == [
        "read",
        "queue",
        "decode",
        "infer",
    ]
