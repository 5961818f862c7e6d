"""What the headers of a DICOM file say: a radiograph of a chest or not, and what to be wary of.

Attributes are named in what is said to the sender; a value never is, as it may name a patient.
"""

import re
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shared.imaging.refusal import ImageRefused, RefusalReason

if TYPE_CHECKING:
    from pydicom import Dataset

RADIOGRAPHS: Final = ("CR", "DX")
"""Values of Modality that are read (PS3.3, C.7.3.1.1.1)."""

YOUNGEST, OLDEST = 1, 5
"""Ages that the network learned from, in full years."""

# Modality is always there (PS3.3, C.7.3.1); where it was removed all the same, the class tells.
_RADIOGRAPH_CLASSES: Final = (
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
)
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"  # of one frame; .1 to .4 are of several

# PS3.16, annex L has CHEST, and combinations such as CHESTABDOMEN; the rest is what is met.
_CHEST: Final = re.compile("CHEST|THORAX|TH?ORAC|TORAX|LUNG")
_SAYS_NOTHING: Final = ("", "UNKNOWN")

# PS3.3, C.8.7.1.1.1 and C.8.11.5: lateral and oblique; LATERAL and LAT are met too.
_NOT_FRONTAL: Final = ("LL", "RL", "LLO", "RLO", "LATERAL", "LAT")

_AGE: Final = re.compile(r"(\d{1,3})([DWMY]?)")  # PS3.5, 6.2: AS; without unit it is met as years
_IN_A_YEAR: Final = {"D": 365.25, "W": 365.25 / 7, "M": 12.0}
_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_DATES: Final = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime")


class Flag(StrEnum):
    """A reason in the headers to rely less on an answer; stable, for programs."""

    PATIENT_AGE = "patient_age"
    NOT_FRONTAL = "not_frontal_view"
    BURNED_IN_ANNOTATION = "burned_in_annotation"
    SECONDARY_CAPTURE = "secondary_capture"
    FOR_PROCESSING = "for_processing"


HEADER_KEYWORDS: Final = (
    "SOPClassUID",
    "Modality",
    "NumberOfFrames",
    "BodyPartExamined",
    "ViewPosition",
    "PatientAge",
    "PatientBirthDate",
    "BurnedInAnnotation",
    "PresentationIntentType",
    *_DATES,
)
"""Attributes that are looked at here."""


def refuse_other_objects(dataset: "Dataset", has_picture: bool) -> None:
    """Refuses what is no single radiograph of a chest.

    Args:
        dataset: The file's headers.
        has_picture: Whether the file has Pixel Data.

    Raises:
        ImageRefused: The detail names the attribute that decided.
    """
    modality = text(dataset, "Modality")
    kind = text(dataset, "SOPClassUID")
    if modality not in RADIOGRAPHS and not (modality == "" and kind in _RADIOGRAPH_CLASSES):
        if not (modality or kind or has_picture):
            raise ImageRefused(
                RefusalReason.CORRUPT,
                "The file begins like a DICOM file, but has neither the attributes nor the pixels "
                "of an image. Send it again; if it is refused again, export it anew.",
            )
        is_what = f"is not {' or '.join(RADIOGRAPHS)}" if modality else "is missing"
        raise _refused(
            "Modality", f"{is_what}: it is no radiograph", "Send the X-ray image of the study."
        )
    if not has_picture:
        raise _refused(
            "PixelData",
            "is missing: it holds no picture",
            "Send the X-ray image of the study; if the file was cut off, send the whole file.",
        )
    if number(dataset, "NumberOfFrames", 1) > 1:
        raise _refused(
            "NumberOfFrames",
            "is more than 1: it holds several pictures",
            "Save the X-ray on its own and send that.",
            RefusalReason.ANIMATED,
        )
    body_part = text(dataset, "BodyPartExamined")
    if body_part not in _SAYS_NOTHING and not _CHEST.search(body_part):
        raise _refused(
            "BodyPartExamined",
            "is not the chest",
            "Send a frontal chest X-ray; if this is one, have the attribute corrected or emptied.",
            RefusalReason.NOT_A_CHEST,
        )


def flags(dataset: "Dataset", today: date) -> tuple[Flag, ...]:
    """Tells what in the headers makes an answer less reliable.

    Args:
        dataset: The file's headers.
        today: Stands for the day of the X-ray where no date of it is left.
    """
    age = _age(dataset, today)
    kind = text(dataset, "SOPClassUID")
    raised = {
        Flag.PATIENT_AGE: age is not None and not YOUNGEST <= age < OLDEST + 1,
        Flag.NOT_FRONTAL: text(dataset, "ViewPosition") in _NOT_FRONTAL,
        Flag.BURNED_IN_ANNOTATION: text(dataset, "BurnedInAnnotation") == "YES",
        Flag.SECONDARY_CAPTURE: (kind + ".").startswith(_SECONDARY_CAPTURE + "."),
        Flag.FOR_PROCESSING: text(dataset, "PresentationIntentType") == "FOR PROCESSING",
    }
    return tuple(flag for flag, is_raised in raised.items() if is_raised)


def unsupported(keyword: str, what: str, accepted: str) -> ImageRefused:
    """The refusal of a picture stored in a way that is not read.

    Args:
        keyword: The attribute that says so.
        what: What is wrong with it, after its name.
        accepted: What is read instead.
    """
    return _refused(
        keyword, what, f"Accepted are {accepted}. Export the image as PNG or JPEG and send that."
    )


def text(dataset: "Dataset", keyword: str) -> str:
    """A text of the headers in capital letters; the first of several; empty where there is none."""
    value = dataset.get(keyword)
    if isinstance(value, str):
        return value.strip(" \0").upper()
    try:
        return "" if value is None else str(value[0]).strip(" \0").upper()
    except (TypeError, LookupError):
        return str(value or "")


def number(dataset: "Dataset", keyword: str, default: int) -> int:
    """A whole number of the headers; the default where it is missing or empty.

    Raises:
        ValueError: It is no number.
        TypeError: It is several.
    """
    value = dataset.get(keyword)
    return default if value is None or value == "" else int(value)


def _refused(
    keyword: str, what: str, todo: str, reason: RefusalReason = RefusalReason.DICOM
) -> ImageRefused:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword) or 0
    return ImageRefused(
        reason, f"The DICOM file's {keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) {what}. {todo}"
    )


def _age(dataset: "Dataset", today: date) -> float | None:
    """Age at the X-ray, in years; None where the headers do not tell."""
    if found := _AGE.fullmatch(text(dataset, "PatientAge")):
        return int(found[1]) / _IN_A_YEAR.get(found[2], 1.0)
    born = _day(text(dataset, "PatientBirthDate"))
    if born is None:
        return None
    taken = next((day for name in _DATES if (day := _day(text(dataset, name)))), today)
    return taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))


def _day(value: str) -> date | None:
    found = _DATE.match(value)  # a time may follow
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None
