"""What is written into the study: codes, references, patient; and the picture."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from gateway.backoff import Unsuccessful
from gateway.results.capture import build_capture
from gateway.results.identity import derived_uid, read_header
from gateway.results.report import build_report
from gateway.screening_client import Answer, Refusal
from shared.heatmap import STRENGTH, coloured
from tests.gateway.radiographs import radiograph, write
from tests.phantoms import chest_phantom
from tests.shared.imaging.pictures import encode

NOW = datetime(2026, 11, 28, 10, 30, tzinfo=UTC)
PICTURE = encode(chest_phantom(np.random.default_rng(3), True, (300, 260)), "JPEG")
HEATMAP = encode(np.full((224, 224, 4), (240, 249, 33, 255), np.uint8), "PNG")


def answer(**changed: Any) -> Answer:
    usual: dict[str, Any] = {
        "label": "PNEUMONIA",
        "probability": 0.934,
        "threshold": 0.41,
        "needs_review": False,
        "reliable": True,
        "warnings": (),
        "model_version": "2026-11-23T060000Z-3f2a9c1d",
        "model_sha256": 16 * "3f2a",
        "picture": PICTURE,
        "heatmap": HEATMAP,
    }
    return Answer(**usual | changed)


def header_of(tmp_path: Path, **attributes: Any) -> Dataset:
    return read_header(write(radiograph(**attributes), tmp_path / "image.dcm"))


def report_of(header: Dataset, said: Answer | Refusal) -> Dataset:
    return dcmread(io.BytesIO(build_report(header, said, NOW)))


def items(report: Dataset) -> dict[str, Any]:
    """The report's content by the meaning of its concept names."""
    found: dict[str, Any] = {}

    def walk(item: Dataset) -> None:
        name = (
            item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""
        )
        found.setdefault(str(name), item)
        for child in item.get("ContentSequence", ()):
            walk(child)

    walk(report)
    return found


def code(item: Dataset) -> Code:
    [coded] = item.ConceptCodeSequence
    return Code(coded.CodeValue, coded.CodingSchemeDesignator, coded.CodeMeaning)


@pytest.mark.parametrize(
    ("changed", "presence"),
    [
        ({}, Code("52101004", "SCT", "Present")),
        ({"label": "NORMAL"}, Code("272519000", "SCT", "Absent")),
        ({"needs_review": True}, Code("82334004", "SCT", "Indeterminate")),
        ({"reliable": False}, Code("82334004", "SCT", "Indeterminate")),
    ],
)
def test_the_finding_and_whether_it_is_there(
    tmp_path: Path, changed: dict[str, Any], presence: Code
) -> None:
    found = items(report_of(header_of(tmp_path), answer(**changed)))
    assert code(found["Finding"]) == Code("233604007", "SCT", "Pneumonia")
    assert code(found["Presence"]) == presence


def test_numbers_have_units(tmp_path: Path) -> None:
    found = items(report_of(header_of(tmp_path), answer()))
    for name, value in (("Probability", 0.934), ("Decision threshold of the probability", 0.41)):
        [measured] = found[name].MeasuredValueSequence
        assert float(measured.NumericValue) == value
        assert measured.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"


def test_what_found_it_is_named(tmp_path: Path) -> None:
    found = items(report_of(header_of(tmp_path), answer()))
    assert found["Algorithm Version"].TextValue == "2026-11-23T060000Z-3f2a9c1d"
    assert found["Algorithm Parameters"].TextValue == "sha256=" + 16 * "3f2a"


def test_the_image_is_referred_to(tmp_path: Path) -> None:
    header = header_of(tmp_path)
    report = report_of(header, answer())
    [reference] = items(report)["Source of Measurement"].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == header.StudyInstanceUID
    [series] = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == header.SeriesInstanceUID


def test_reports_that_say_the_same_keep_what_is_their_images_own(tmp_path: Path) -> None:
    headers = [header_of(tmp_path) for _ in range(2)]
    reports = [items(report_of(one, answer(probability=0.5 + i))) for i, one in enumerate(headers)]
    for header, found, probability in zip(headers, reports, (0.5, 1.5), strict=True):
        [reference] = found["Source of Measurement"].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert found["Probability"].MeasuredValueSequence[0].NumericValue == probability
    first, second = (found["Tracking Unique Identifier"].UID for found in reports)
    assert first != second


def test_what_makes_it_unreliable_is_said_in_letters_of_every_character_set(tmp_path: Path) -> None:
    warnings = (("unfamiliar_image", "Not like those – the network’s own."),)
    found = items(report_of(header_of(tmp_path), answer(reliable=False, warnings=warnings)))
    text = found["Reason for caution"].TextValue
    assert text == "unfamiliar_image: Not like those - the network's own."
    assert code(found["Image is of the kind the model was made for"]).meaning == "No"


def test_a_refusal_says_why(tmp_path: Path) -> None:
    said = Refusal("not-a-chest-xray", "It is something else.")
    found = items(report_of(header_of(tmp_path), said))
    assert found["Reason why the image was not judged"].TextValue.startswith("not-a-chest-xray")
    assert "Probability" not in found


def test_it_says_that_it_is_no_diagnosis(tmp_path: Path) -> None:
    header = header_of(tmp_path)
    report = report_of(header, answer())
    assert "not a diagnosis" in items(report)["Comment"].TextValue
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.PreliminaryFlag == "PRELIMINARY"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "山田^太郎"),
        ("ISO_IR 100", "Müller^Zoë"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 144", "Люкceмбypг"),
    ],
)
def test_patients_keep_their_name_in_its_character_set(
    tmp_path: Path, character_set: Any, name: str
) -> None:
    header = header_of(tmp_path, SpecificCharacterSet=character_set, PatientName=name)
    for content in (build_report(header, answer(), NOW), build_capture(header, answer(), NOW)):
        written = dcmread(io.BytesIO(content))
        assert written.PatientName == name
        assert written.SpecificCharacterSet == character_set


def test_values_that_break_the_standard_arrive_as_they_came(tmp_path: Path) -> None:
    image = radiograph(SpecificCharacterSet=None)
    for keyword, value in (("PatientBirthDate", b"1 Apr 23 "), ("PatientID", b"\xe9" * 80)):
        image[keyword]._value = value.decode("latin-1")
    path = write(image, tmp_path / "odd.dcm")
    raw = path.read_bytes()
    path.write_bytes(raw)
    header = read_header(path)
    written = report_of(header, answer())
    assert written.get_item("PatientBirthDate").value == header.get_item("PatientBirthDate").value
    assert written.get_item("PatientID").value == header.get_item("PatientID").value


def test_what_the_image_lacks_is_empty(tmp_path: Path) -> None:
    header = header_of(tmp_path, PatientSex=None, AccessionNumber=None, StudyID=None)
    written = report_of(header, answer())
    assert (written.PatientSex, written.AccessionNumber, written.StudyID) == ("", "", "")


def test_the_same_image_and_model_give_the_same_uids(tmp_path: Path) -> None:
    header = header_of(tmp_path)
    first, again = report_of(header, answer()), report_of(header, answer(probability=0.5))
    other = report_of(header, answer(model_version="another"))
    picture = dcmread(io.BytesIO(build_capture(header, answer(), NOW)))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert len({first.SOPInstanceUID, other.SOPInstanceUID, picture.SOPInstanceUID}) == 3
    assert derived_uid("a").startswith("2.25.")
    assert len(derived_uid("a")) <= 64


def test_the_picture_has_the_x_ray_and_a_legend(tmp_path: Path) -> None:
    header = header_of(tmp_path, BurnedInAnnotation="YES")
    picture = dcmread(io.BytesIO(build_capture(header, answer(), NOW)))
    pixels = picture.pixel_array
    assert picture.LossyImageCompression == "01"
    assert pixels.shape[0] > 300
    assert pixels.shape[1] >= 512
    assert pixels[300:].max() == 255, "there is a legend below the X-ray"
    assert not np.array_equal(pixels[:300, 200:300, 0], pixels[:300, 200:300, 2]), "in colour"
    assert picture.BurnedInAnnotation == "YES"
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_the_evidence_is_drawn_over_the_x_ray_in_the_colours_of_the_service(
    tmp_path: Path,
) -> None:
    strength = np.tile(np.arange(0, 256, 4, dtype=np.uint8).repeat(8), (600, 1))
    layer = np.dstack([np.zeros_like(strength)] * 3 + [strength])
    grey = np.tile(np.linspace(0, 255, 600, dtype=np.uint8)[:, np.newaxis], 512)
    said = answer(picture=encode(grey, "JPEG", quality=95), heatmap=encode(layer, "PNG"))
    picture = dcmread(io.BytesIO(build_capture(header_of(tmp_path), said, NOW)))
    heat, below = Image.fromarray(strength), Image.fromarray(grey).convert("RGB")
    cover = heat.point(lambda level: level * STRENGTH)
    wanted = np.asarray(Image.composite(coloured(heat), below, cover), np.int16)
    assert np.abs(picture.pixel_array[:600] - wanted).mean() < 2


@pytest.mark.parametrize("broken", [None, b"", PICTURE[:300], b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_picture_that_is_none_is_said(tmp_path: Path, broken: bytes | None) -> None:
    with pytest.raises(Unsuccessful, match="picture is unusable"):
        build_capture(header_of(tmp_path), answer(picture=broken), NOW)
