"""The codes that the report uses: the standard's where there are some, else the gateway's own.

DCM: PS3.16, annex D. SCT: SNOMED CT. UCUM: units. 99CXRS: private, explained in docs/dicom.md.
"""

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from gateway.results.identity import MANUFACTURER

PRIVATE_SCHEME: Final = "99CXRS"


def _sct(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "SCT", meaning)


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, PRIVATE_SCHEME, meaning)


CHEST_RADIOGRAPHY: Final = _sct("399208008", "Plain chest X-ray")
CHEST: Final = _sct("816094009", "Chest")
PNEUMONIA: Final = _sct("233604007", "Pneumonia")
PRESENCE: Final = _sct("705057003", "Presence")
PRESENT: Final = _sct("52101004", "Present")
ABSENT: Final = _sct("272519000", "Absent")
INDETERMINATE: Final = _sct("82334004", "Indeterminate")
YES: Final = _sct("373066001", "Yes")
NO: Final = _sct("373067005", "No")

PROBABILITY: Final = CodedConcept("122157", "DCM", "Probability")
COMMENT: Final = CodedConcept("121106", "DCM", "Comment")
NO_UNITS: Final = CodedConcept("1", "UCUM", "no units")

DECISION_THRESHOLD: Final = _own("THRESHOLD", "Decision threshold of the probability")
RELIABLE: Final = _own("RELIABLE", "Image is of the kind the model was made for")
CAUTION: Final = _own("CAUTION", "Reason for caution")
SCREENED: Final = _own("SCREENED", "Image was judged by the model")
REFUSAL: Final = _own("REFUSAL", "Reason why the image was not judged")


def private_scheme() -> CodingSchemeIdentificationItem:
    """Who is responsible for the private codes (PS3.3, C.12.1.1: Coding Scheme Identification)."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Chest X-ray screening",
        responsible_organization=MANUFACTURER,
    )
