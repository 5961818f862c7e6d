"""What to be wary of in an answer: pairs of a stable code and a sentence, and what follows."""

from collections.abc import Iterable
from typing import Final

from shared.imaging.dicom.headers import OLDEST, YOUNGEST, Flag

Caution = tuple[str, str]

UNFAMILIAR: Final[Caution] = (
    "unfamiliar_image",
    "The image is unlike the X-rays that the model knows: do not rely on the answer. Have a person "
    "look at it.",
)
UNKNOWN_FAMILIARITY: Final[Caution] = (
    "unknown_familiarity",
    "The model cannot tell whether it knows images like this one: compare its age, position and "
    "machine with those that the model learned from.",
)

_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six")

_OF_HEADERS: Final[dict[Flag, str]] = {
    Flag.PATIENT_AGE: "By the DICOM file's headers the patient is not "
    f"{_NUMBERS[YOUNGEST]} to {_NUMBERS[OLDEST]} years old: this network learned from children of "
    f"{_NUMBERS[YOUNGEST]} to {_NUMBERS[OLDEST]}. Have a person look at it.",
    Flag.NOT_FRONTAL: "By the DICOM file's headers this is no frontal view: this network learned "
    "from frontal X-rays. Send the frontal one, or have a person look at it.",
    Flag.BURNED_IN_ANNOTATION: "By the DICOM file's headers there are letters or marks in the "
    "picture, which may mislead the network. Have a person look at it.",
    Flag.SECONDARY_CAPTURE: "By the DICOM file's headers this is a secondary capture (a scan, a "
    "photograph or a copy of a screen), not a detector's own image. Send the original, or have a "
    "person look at it.",
    Flag.FOR_PROCESSING: "By the DICOM file's headers this is a detector's raw image, which is not "
    "meant to be looked at. Send the processed one, or have a person look at it.",
}

_OF_THE_IMAGE: Final = frozenset({UNFAMILIAR[0], *_OF_HEADERS})


def of_headers(flags: Iterable[Flag]) -> tuple[Caution, ...]:
    """The cautions that a file's headers give reason for."""
    return tuple((flag.value, _OF_HEADERS[flag]) for flag in flags)


def is_reliable(cautions: Iterable[Caution]) -> bool:
    """Whether none of them says that the image is unlike those that the network knows."""
    return not any(code in _OF_THE_IMAGE for code, _ in cautions)
