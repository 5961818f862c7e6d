"""What a run over folders says about one file: the columns of its results."""

from dataclasses import dataclass
from typing import Final

from service.inference.loaded_model import ServedModel
from service.screening.pipeline import Screening
from shared.labels import BACTERIAL, VIRAL

UNREADABLE: Final = "unreadable-file"
"""The problem of a file that the system does not let be read."""


@dataclass(frozen=True)
class Row:
    """What is said about one file. Empty where it does not apply.

    Attributes:
        path: The file, as it was found.
        label: NORMAL or PNEUMONIA; empty where the file was refused.
        probability: Calibrated probability of pneumonia, in [0, 1].
        bacterial: Its share that is bacterial pneumonia.
        viral: Its share that is viral pneumonia.
        threshold: PNEUMONIA from this probability on.
        needs_review: Whether a person should look.
        reliable: False where the image is unlike those that the model knows.
        warnings: Codes, separated by spaces.
        problem: The slug of the problem for which the file was refused.
        detail: What is wrong with it, and what to do.
        model: The version that answered.
    """

    path: str
    label: str = ""
    probability: float | None = None
    bacterial: float | None = None
    viral: float | None = None
    threshold: float | None = None
    needs_review: bool | None = None
    reliable: bool | None = None
    warnings: str = ""
    problem: str = ""
    detail: str = ""
    model: str = ""

    @classmethod
    def of(cls, path: str, screening: Screening) -> "Row":
        """The row that tells a screening."""
        causes = screening.causes or {}
        return cls(
            path=path,
            label=screening.label,
            probability=screening.probability,
            bacterial=causes.get(BACTERIAL),
            viral=causes.get(VIRAL),
            threshold=screening.threshold,
            needs_review=screening.needs_review,
            reliable=screening.reliable,
            warnings=" ".join(code for code, _ in screening.warnings),
            model=screening.model.manifest.version,
        )

    @classmethod
    def refused(cls, path: str, problem: str, detail: str, model: ServedModel) -> "Row":
        """The row about a file that was refused."""
        return cls(path, problem=problem, detail=detail, model=model.manifest.version)
