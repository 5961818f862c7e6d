"""The headers of a DICOM file refuse it, by the name of the attribute, or raise a flag."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from pydicom import Dataset, dcmread, uid

from shared.imaging.decode import decode, open_image
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import PHANTOM, encode
from tests.shared.imaging.radiographs import CR, DX, NATIVE, radiograph, written

SECRET = "Jane-Doe-1962"
PYDICOM = Path(pydicom.data.__file__).parent / "test_files"


def refused(data: bytes) -> ImageRefused:
    with pytest.raises(ImageRefused) as caught:
        decode(data)
    return caught.value


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"Modality": "CT"}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "MR"}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "MG"}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "OT"}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "SR", "PixelData": None}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "PR", "PixelData": None}, "dicom", "Modality (0008,0060)"),
    ({"Modality": "", "SOPClassUID": uid.CTImageStorage}, "dicom", "Modality (0008,0060)"),
    ({"Modality": None, "SOPClassUID": uid.CTImageStorage}, "dicom", "Modality (0008,0060)"),
    ({"PixelData": None}, "dicom", "PixelData (7FE0,0010)"),
    ({"PixelData": None, "FloatPixelData": bytes(8)}, "dicom", "PixelData (7FE0,0010)"),
    ({"NumberOfFrames": 2}, "animated", "NumberOfFrames (0028,0008)"),
    ({"BodyPartExamined": "HIP"}, "not_a_chest", "BodyPartExamined (0018,0015)"),
    ({"BodyPartExamined": "ABDOMEN"}, "not_a_chest", "BodyPartExamined (0018,0015)"),
    ({"SamplesPerPixel": 3}, "dicom", "SamplesPerPixel (0028,0002)"),
    ({"PhotometricInterpretation": "RGB"}, "dicom", "PhotometricInterpretation (0028,0004)"),
    ({"PhotometricInterpretation": None}, "dicom", "PhotometricInterpretation (0028,0004)"),
    ({"BitsAllocated": 32}, "dicom", "BitsAllocated (0028,0100)"),
    ({"BitsAllocated": 1}, "dicom", "BitsAllocated (0028,0100)"),
    ({"BitsStored": 7, "HighBit": 6}, "dicom", "BitsStored (0028,0101)"),
    ({"BitsStored": 17, "HighBit": 16}, "dicom", "BitsStored (0028,0101)"),
    ({"HighBit": 15}, "dicom", "HighBit (0028,0102)"),
    ({"PixelRepresentation": 2}, "dicom", "PixelRepresentation (0028,0103)"),
    ({"Rows": 63}, "too_small", "200 × 63"),
    ({"Rows": 60000, "Columns": 60000}, "too_large", "60000 × 60000"),
    ({"Rows": 161}, "truncated", "Rows (0028,0010)"),
]


@pytest.mark.parametrize(("attributes", "reason", "named"), REFUSED)
def test_the_attribute_that_decides_is_named(
    attributes: dict[str, Any], reason: str, named: str
) -> None:
    refusal = refused(radiograph(**attributes))
    assert refusal.reason == reason
    assert named in refusal.detail


@pytest.mark.parametrize("keyword", ["Modality", "BodyPartExamined", "PhotometricInterpretation"])
def test_the_value_that_decides_is_not_told(keyword: str) -> None:
    attributes: dict[str, Any] = {keyword: SECRET.upper()}
    refusal = refused(radiograph(**attributes))
    assert keyword in refusal.detail
    assert SECRET.upper() not in refusal.detail.upper()


def test_a_transfer_syntax_that_is_not_read_is_named() -> None:
    refusal = refused(radiograph(syntax=uid.MPEG2MPML, frame=bytes(100)))
    assert refusal.reason == "dicom"
    assert "TransferSyntaxUID (0002,0010)" in refusal.detail
    assert "JPEG-LS" in refusal.detail


@pytest.mark.parametrize(
    "attributes",
    [
        {"Modality": "DX", "SOPClassUID": DX},
        {"Modality": "", "SOPClassUID": CR},
        {"Modality": None, "SOPClassUID": DX},
        {"BodyPartExamined": ""},
        {"BodyPartExamined": None},
        {"BodyPartExamined": "UNKNOWN"},
        {"BodyPartExamined": "PORT CHEST"},
        {"BodyPartExamined": "Thorax"},
        {"BodyPartExamined": "CHESTABDOMEN"},
        {"NumberOfFrames": 1},
        {"NumberOfFrames": ""},
        {"HighBit": None},
        {"ViewPosition": "AP", "BurnedInAnnotation": "NO"},
    ],
)
def test_radiographs_of_a_chest_are_read_without_a_flag(attributes: dict[str, Any]) -> None:
    opened = open_image(radiograph(**attributes))
    assert opened.flags == ()
    assert opened.decode().shape == PHANTOM.shape


FLAGGED: list[tuple[dict[str, Any], list[str]]] = [
    ({"PatientAge": "006Y"}, ["patient_age"]),
    ({"PatientAge": "062Y"}, ["patient_age"]),
    ({"PatientAge": "62"}, ["patient_age"]),
    ({"PatientAge": "011M"}, ["patient_age"]),
    ({"PatientAge": "072M"}, ["patient_age"]),
    ({"PatientAge": "051W"}, ["patient_age"]),
    ({"PatientAge": "030D"}, ["patient_age"]),
    ({"PatientAge": "001Y"}, []),
    ({"PatientAge": "005Y"}, []),
    ({"PatientAge": "012M"}, []),
    ({"PatientAge": "071M"}, []),
    ({"PatientAge": "900D"}, []),
    ({"PatientAge": "", "PatientBirthDate": "20190402", "StudyDate": "20250402"}, ["patient_age"]),
    ({"PatientAge": "", "PatientBirthDate": "20190402", "StudyDate": "20250401"}, []),
    ({"PatientAge": "", "PatientBirthDate": "20240402", "StudyDate": "20250402"}, []),
    ({"PatientAge": "", "PatientBirthDate": "20240402", "StudyDate": "20250401"}, ["patient_age"]),
    ({"PatientAge": None, "PatientBirthDate": "19620402"}, ["patient_age"]),
    ({"PatientAge": None, "PatientBirthDate": "2019.04.02", "SeriesDate": "2024.04.02"}, []),
    (
        {
            "PatientAge": None,
            "PatientBirthDate": "20190402",
            "AcquisitionDateTime": "20260402101112.123456+0100",
        },
        ["patient_age"],
    ),
    ({"PatientAge": "003Y", "PatientBirthDate": "19620402", "StudyDate": "20250402"}, []),
    ({"PatientAge": None}, []),
    ({"PatientAge": "child"}, []),
    ({"PatientAge": "", "PatientBirthDate": "20251399"}, []),
    ({"ViewPosition": "LL"}, ["not_frontal_view"]),
    ({"ViewPosition": "RL"}, ["not_frontal_view"]),
    ({"ViewPosition": "LATERAL"}, ["not_frontal_view"]),
    ({"ViewPosition": "PA"}, []),
    ({"ViewPosition": "LLD"}, []),
    ({"BurnedInAnnotation": "YES"}, ["burned_in_annotation"]),
    ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, ["secondary_capture"]),
    (
        {"SOPClassUID": uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage},
        ["secondary_capture"],
    ),
    ({"PresentationIntentType": "FOR PROCESSING"}, ["for_processing"]),
    ({"PresentationIntentType": "FOR PRESENTATION"}, []),
    (
        {"PatientAge": "040Y", "ViewPosition": "LL", "BurnedInAnnotation": "YES"},
        ["patient_age", "not_frontal_view", "burned_in_annotation"],
    ),
]


@pytest.mark.parametrize(("attributes", "flags"), FLAGGED)
def test_headers_raise_flags(attributes: dict[str, Any], flags: list[str]) -> None:
    assert list(open_image(radiograph(**attributes)).flags) == flags


def test_without_a_date_of_the_x_ray_today_counts() -> None:
    year = datetime.now(UTC).year
    for born, flags in ((year - 3, []), (year - 8, ["patient_age"])):
        data = radiograph(PatientAge=None, PatientBirthDate=f"{born}0101")
        assert list(open_image(data).flags) == flags


def test_other_formats_have_no_flags() -> None:
    assert open_image(encode(PHANTOM, "PNG")).flags == ()


def test_a_file_of_nothing_but_headers_that_say_nothing_is_damaged() -> None:
    assert refused(bytes(128) + b"DICM").reason == "corrupt"
    nameless = Dataset()
    nameless.PatientName = SECRET
    nameless.SOPInstanceUID = "1.2.3"
    assert refused(written(nameless)).reason == "corrupt"


@pytest.mark.parametrize("syntax", [syntax for syntax in NATIVE if not syntax.is_deflated])
def test_a_file_without_preamble_and_meta_information_is_read(syntax: uid.UID) -> None:
    dataset = dcmread(io.BytesIO(radiograph(syntax=syntax)))
    dataset.SpecificCharacterSet = "ISO_IR 100"
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer,
        Dataset(dataset),
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=False,
    )
    assert buffer.getvalue()[128:132] != b"DICM"
    np.testing.assert_array_equal(decode(buffer.getvalue()), decode(radiograph(syntax=syntax)))


def test_attributes_that_are_not_looked_at_may_be_anything() -> None:
    private = Dataset()
    private.PatientName = SECRET
    data = radiograph(
        PatientName=SECRET,
        RequestAttributesSequence=[private],
        SelectorOBValue=SECRET.encode() * 1000,
        IconImageSequence=[dcmread(io.BytesIO(radiograph()))],
    )
    np.testing.assert_array_equal(decode(data), decode(radiograph()))


def test_what_follows_the_pixels_is_not_looked_at() -> None:
    data = radiograph(DataSetTrailingPadding=bytes(1000))
    np.testing.assert_array_equal(decode(data + b"rubbish"), decode(radiograph()))


@pytest.mark.parametrize("path", sorted(PYDICOM.glob("*.dcm")), ids=lambda path: path.name)
def test_pydicoms_own_files_are_no_chest_radiographs(path: Path) -> None:
    refusal = refused(path.read_bytes())
    assert refusal.reason in ("dicom", "corrupt", "unsupported_format")
    if refusal.reason == "dicom":
        assert "Modality (0008,0060)" in refusal.detail


PIXELS = [
    "693_J2KI", "CT_small", "J2K_pixelrep_mismatch", "JPEG-lossy", "JPEG2000", "JPGExtended",
    "MR_small", "MR_small_RLE", "MR_small_bigendian",
    "MR_small_expb", "MR_small_implicit", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless",
    "MR_small_padded", "image_dfl", "examples_overlay",
]  # fmt: skip


@pytest.mark.parametrize("name", PIXELS)
def test_the_pixels_of_pydicoms_own_files_are_read_as_if_they_were_radiographs(name: str) -> None:
    dataset = dcmread(PYDICOM / f"{name}.dcm")
    dataset.Modality, dataset.BodyPartExamined = "CR", ""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    grey = decode(buffer.getvalue())
    assert grey.shape == (dataset.Rows, dataset.Columns)
    assert grey.std() > 1


def test_real_files_are_answered_or_refused_by_name(xray_data: Path) -> None:
    said = {}
    for path in (xray_data / "dicom").glob("*.dcm"):
        dataset = dcmread(path, stop_before_pixels=True)
        chest = dataset.Modality == "CR" and "CHEST" in dataset.get("BodyPartExamined", "")
        try:
            said[path.name] = decode(path.read_bytes()).shape == (dataset.Rows, dataset.Columns)
            assert chest
        except ImageRefused as refusal:
            assert not chest
            assert "Modality" in refusal.detail or "BodyPartExamined" in refusal.detail
    assert all(said.values())
