"""DICOM through every door: one answer for one picture, flags, refusals, and no header told."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from service.api.schemas import ProblemAnswer
from tests.service.conftest import Start, logged
from tests.service.tiny_bundle import encode, tilted
from tests.shared.imaging.radiographs import LOSSLESS, radiograph

NAME = "Jane-Doe-1962"
PIXELS = tilted(60, 180).astype(np.uint16) << np.uint16(4)
DICOM = radiograph(tilted(60, 180), 8)


def said(response: httpx.Response) -> dict[str, Any]:
    """An answer but for what differs from request to request."""
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    del answer["request_id"]
    return answer


def test_every_way_of_sending_it_gets_the_answer_of_a_png(client: httpx.Client) -> None:
    expected = said(client.post("/predict", content=encode(tilted(60, 180))))
    assert expected["reliable"] is True
    headers = {"Content-Type": "application/dicom"}
    assert said(client.post("/predict", content=DICOM, headers=headers)) == expected
    assert said(client.post("/predict", content=DICOM)) == expected
    assert said(client.post("/predict", files={"file": ("IM0001", DICOM)})) == expected
    file = ("x.dcm", DICOM, "application/dicom")
    assert said(client.post("/predict", files={"file": file})) == expected


def test_one_picture_gets_one_answer_however_it_is_stored(client: httpx.Client) -> None:
    answers = []
    for inverse in (False, True):
        pixels, photometric = (4095 - PIXELS, "MONOCHROME1") if inverse else (PIXELS, "MONOCHROME2")
        for syntax in LOSSLESS:
            data = radiograph(pixels, syntax=syntax, PhotometricInterpretation=photometric)
            answers.append(said(client.post("/predict?heatmap=true", content=data)))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"PatientAge": "040Y"}, "patient_age"),
        ({"ViewPosition": "LL"}, "not_frontal_view"),
        ({"BurnedInAnnotation": "YES"}, "burned_in_annotation"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, "secondary_capture"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
    ],
)
def test_headers_make_an_answer_less_reliable(
    client: httpx.Client, attributes: dict[str, Any], code: str
) -> None:
    answer = said(client.post("/predict", content=radiograph(PIXELS, **attributes)))
    (warning,) = answer["warnings"]
    assert warning["code"] == code
    assert len(warning["message"]) > 40
    assert answer["reliable"] is False
    assert answer["needs_review"] is True


def test_explain_lays_the_heatmap_over_it(client: httpx.Client) -> None:
    drawn = client.post("/explain", content=DICOM)
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.content == client.post("/explain", content=encode(tilted(60, 180))).content


def test_the_picture_is_given_back_when_asked(client: httpx.Client) -> None:
    assert said(client.post("/predict", content=DICOM))["picture"] is None
    answer = said(client.post("/predict?picture=true&heatmap=true", content=DICOM))
    assert answer["heatmap"]["width"] == 224
    shown = answer["picture"]
    picture = Image.open(io.BytesIO(base64.b64decode(shown["jpeg"])))
    assert (picture.format, picture.mode) == ("JPEG", "L")
    assert picture.size == (shown["width"], shown["height"]) == (260, 300)
    assert np.abs(np.asarray(picture).astype(int) - tilted(60, 180)).mean() < 2


def test_a_picture_is_no_larger_than_an_overlay(client: httpx.Client) -> None:
    large = encode(tilted(60, 180, (1500, 2048)), "JPEG")
    shown = said(client.post("/predict?picture=true", content=large))["picture"]
    assert (shown["width"], shown["height"]) == (1024, 750)


@pytest.mark.parametrize(
    ("attributes", "status", "slug", "named"),
    [
        ({"Modality": "CT"}, 415, "dicom", "Modality (0008,0060)"),
        ({"PixelData": None}, 415, "dicom", "PixelData (7FE0,0010)"),
        ({"NumberOfFrames": 3}, 415, "animated-image", "NumberOfFrames (0028,0008)"),
        ({"BodyPartExamined": "HAND"}, 422, "not-a-chest-xray", "BodyPartExamined (0018,0015)"),
        ({"Rows": 9000, "Columns": 9000}, 413, "image-too-large", "9000 × 9000"),
        ({"Rows": 301}, 422, "truncated-image", "Rows (0028,0010)"),
    ],
)
def test_what_is_no_chest_radiograph_is_a_problem(
    client: httpx.Client, attributes: dict[str, Any], status: int, slug: str, named: str
) -> None:
    response = client.post("/predict", content=radiograph(PIXELS, **attributes))
    problem = ProblemAnswer.model_validate_json(response.content)
    assert (response.status_code, problem.type.rpartition(":")[2]) == (status, slug)
    assert named in problem.detail


def test_an_image_beyond_the_memory_for_decoding_is_told(start: Start) -> None:
    client = start(decoded_budget=1024 * 1024)
    problem = client.post("/predict", content=DICOM).json()
    assert problem["type"].endswith("image-too-costly")
    assert "8 of 8 bits" in problem["detail"]


def test_nothing_of_the_headers_or_pixels_is_told(start: Start, log: io.StringIO) -> None:
    """Not where it is answered, nor where it is refused, nor where it is damaged."""
    client = start(log_level="debug")
    secret: dict[str, Any] = {
        "PatientName": NAME,
        "PatientID": NAME,
        "StudyDescription": NAME,
        "InstitutionName": NAME,
        "PatientBirthDate": NAME,
        "PatientAge": NAME,
        "StudyDate": NAME,
        "ViewPosition": NAME,
    }
    texts = []
    number = "1" * len(NAME)
    cases: tuple[dict[str, Any], ...] = (
        {},
        {"Modality": NAME},
        {"BodyPartExamined": NAME},
        {"PhotometricInterpretation": NAME},
        {"PresentationLUTShape": NAME, "VOILUTFunction": NAME},
        {"RescaleSlope": number, "RescaleIntercept": number},
        {"WindowCenter": number, "WindowWidth": number},
        {"Rows": 3000},
    )
    for index, more in enumerate(cases):
        data = radiograph(PIXELS, **(secret | more)).replace(number.encode(), NAME.encode())
        for damaged in (data, data[: len(data) // 2], data.replace(b"CS", b"DS")):
            headers = {"X-Request-ID": f"secret-{index}"}
            response = client.post("/predict?heatmap=true", content=damaged, headers=headers)
            assert response.status_code < 500
            texts.append(response.text)
    client.get("/livez", headers={"X-Request-ID": "last"})
    logged(log, request_id="last")
    texts += [log.getvalue(), client.get("/metrics").text]
    for text in texts:
        assert NAME.upper() not in text.upper()
