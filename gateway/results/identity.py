"""Whose results they are and what they are called: UIDs, patient, study, equipment."""

import uuid
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

MANUFACTURER: Final = "chest-xray-screening"
PRODUCT: Final = "Chest X-ray screening gateway"

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_OID, MANUFACTURER)
"""What the gateway's UIDs are derived from (RFC 9562, version 5)."""

# What is copied as it is: the attributes of the modules Patient, Patient Study and General Study
# (PS3.3, C.7.1.1, C.7.2.2 and C.7.2.1) that are no sequences.
COPIED: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate"),
    *("PatientBirthTime", "PatientSex", "OtherPatientIDs", "OtherPatientNames", "EthnicGroup"),
    *("PatientComments", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("PatientAge", "PatientSize", "PatientWeight", "Occupation", "AdditionalPatientHistory"),
    *("AdmissionID", "MedicalAlerts", "Allergies", "PatientState", "PregnancyStatus"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID"),
    *("AccessionNumber", "StudyDescription", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy"),
)
# What an image must have too, but may leave empty (type 2): here it is empty where it lacks there.
_REQUIRED: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_ABOUT_THE_IMAGE: Final = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientOrientation"),
    *("BurnedInAnnotation", "InstanceNumber", "SeriesNumber", "TimezoneOffsetFromUTC"),
)


def read_header(path: Path) -> Dataset:
    """The attributes of an image that its results need, still encoded as they were.

    Args:
        path: A DICOM file (PS3.10).

    Raises:
        Exception: Whatever pydicom raises about a file that is none.
    """
    wanted = ["SpecificCharacterSet", *COPIED, *_ABOUT_THE_IMAGE]
    return dcmread(path, stop_before_pixels=True, specific_tags=wanted)


def derived_uid(*parts: str) -> str:
    """A UID that the same parts give again, so that an archive recognises what comes twice.

    A name-based UUID as an OID under 2.25 (PS3.5, B.2).
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(parts)).int}"


IMPLEMENTATION_UID: Final = derived_uid("implementation class")
DEVICE_UID: Final = derived_uid("device")


def copy_patient_and_study(header: Dataset, result: Dataset) -> None:
    """Gives a result the patient, study and character set of its image, byte for byte.

    The values are not decoded on the way: a name in a character set that is wrongly declared, or a
    date that is none, arrives as it came, for the archive to match.

    Args:
        header: What `read_header` gave.
        result: What to add to; the text in it must be ASCII, which every character set contains.
    """
    for keyword in _REQUIRED:
        setattr(result, keyword, None)
    for keyword in ("SpecificCharacterSet", *COPIED):
        tag = Tag(tag_for_keyword(keyword) or 0)
        element: Any = header.get_item(tag)
        if isinstance(element, RawDataElement):
            content = element.value or b""
            element = RawDataElement(tag, dictionary_VR(tag), len(content), content, 0, False, True)
        if element is not None:
            result[tag] = element
