"""Who and what a file name of the Kaggle data set stands for: the patient, and the cause."""

import re
from pathlib import PurePosixPath

_CAUSES = {"bacteria": 0, "virus": 1}
UNKNOWN_CAUSE = -1

_KAGGLE = re.compile(r"^(person|NORMAL2-IM-|IM-)(\d+)(?=[-_.])", re.IGNORECASE)
_NIH = re.compile(r"^()(\d{8})(?=_\d{3}\.)")
_CAUSE_IN_NAME = re.compile(r"_(bacteria|virus)(?=[_.\d])", re.IGNORECASE)


def patient_of(path: str) -> str:
    """The patient that an image belongs to.

    A patient is the folder of the split, the prefix of the file name (`person`, `IM-`,
    `NORMAL2-IM-`) and the number behind it; both causes of one `person` are the same patient.
    Numbers start again in `test`, which is why the folder is a part. In the names of NIH
    ChestX-ray8 (`00001305_001.png`) it is the number in front. A name of another pattern counts
    as a patient of its own.

    Args:
        path: The path inside the data set, e.g. "train/PNEUMONIA/person12_bacteria_46.jpeg".

    Returns:
        E.g. "train/person12"; two images of one patient get the same text.
    """
    parts = PurePosixPath(path).parts
    split = parts[0] if len(parts) > 2 else ""
    match = _KAGGLE.match(parts[-1]) or _NIH.match(parts[-1])
    if match is None:
        return path
    return f"{split}/{match[1].lower()}{int(match[2])}".lstrip("/")


def cause_of(path: str) -> int:
    """The cause that the file name of a pneumonia gives.

    Returns:
        0 bacterial, 1 viral, -1 where the name doesn't say (or the image is normal).
    """
    match = _CAUSE_IN_NAME.search(PurePosixPath(path).name)
    return _CAUSES[match[1].lower()] if match else UNKNOWN_CAUSE


def series_of(path: str) -> str | None:
    """The series that a file name of the Kaggle data set is numbered in: `person`, `im-` or
    `normal2-im-`; None for another pattern."""
    match = _KAGGLE.match(PurePosixPath(path).name)
    return match[1].lower() if match else None
