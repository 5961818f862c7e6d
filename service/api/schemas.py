"""The JSON that callers get, and its description for OpenAPI."""

import base64
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.screening.heatmap_image import Picture
from service.screening.pipeline import Screening

Probability = Field(ge=0, le=1)


ANSWER: Final[dict[str, Any]] = {
    "label": "PNEUMONIA",
    "probability": 0.934,
    "probabilities": {"NORMAL": 0.066, "PNEUMONIA": 0.934},
    "causes": {"BACTERIAL": 0.71, "VIRAL": 0.224},
    "threshold": 0.41,
    "needs_review": False,
    "reliable": True,
    "warnings": [],
    "heatmap": None,
    "picture": None,
    "model": {"version": "2026-11-23T060000Z-3f2a9c1d", "sha256": 16 * "3f2a"},
    "request_id": "0f3a6c1d9b2e4857",
}
"""An example."""


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Probabilities(_Answer):
    """The probability of each label; they sum to 1."""

    NORMAL: float = Probability
    PNEUMONIA: float = Probability


class Causes(_Answer):
    """The probability of pneumonia, split by cause."""

    BACTERIAL: float = Probability
    VIRAL: float = Probability


class Caution(_Answer):
    """Something to know about an answer."""

    code: str = Field(description="stable, for programs")
    message: str = Field(description="for people")


class Heatmap(_Answer):
    """Where the evidence for pneumonia lies: to be stretched over the image by who shows it."""

    png: str = Field(
        description="the heatmap alone as PNG with transparency, base64",
        json_schema_extra={"contentEncoding": "base64"},
    )
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")


class Shown(_Answer):
    """The image as it was read, turned upright and with its contrast: to be looked at."""

    jpeg: str = Field(
        description="JPEG in grey, up to 1024 pixels along the longer side, base64",
        json_schema_extra={"contentEncoding": "base64"},
    )
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")


class ModelReference(_Answer):
    """Which model answered."""

    version: str
    sha256: str = Field(description="of the network's file")


class ProblemAnswer(_Answer):
    """RFC 9457: what is wrong, what is accepted, and what to do."""

    type: str = Field(description="stable, for programs", json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str = Field(description="for people")
    instance: str = Field(description="the path that was asked for")
    request_id: str


class Answer(_Answer):
    """What is said about one image. A second opinion, never a diagnosis."""

    label: Literal["NORMAL", "PNEUMONIA"] = Field(
        description="the decision at the model's threshold"
    )
    probability: float = Field(ge=0, le=1, description="calibrated probability of pneumonia")
    probabilities: Probabilities
    causes: Causes | None = Field(description="null where the model does not tell them apart")
    threshold: float = Field(ge=0, le=1, description="PNEUMONIA from this probability on")
    needs_review: bool = Field(description="uncertain, or not reliable: have a person look")
    reliable: bool = Field(
        description="false where the image is unlike the X-rays that the model knows, such as an "
        "adult's: do not rely on the label"
    )
    warnings: list[Caution]
    heatmap: Heatmap | None = Field(description="with ?heatmap=true, where the model gives one")
    picture: Shown | None = Field(
        description="with ?picture=true: for files that a browser cannot show"
    )
    model: ModelReference
    request_id: str

    @classmethod
    def of(cls, screening: Screening, request_id: str) -> "Answer":
        """The answer that tells a screening."""
        overlay, picture, model = screening.overlay, screening.picture, screening.model
        return cls(
            label=screening.label,
            probability=screening.probability,
            probabilities=Probabilities(**screening.probabilities),
            causes=Causes(**screening.causes) if screening.causes else None,
            threshold=screening.threshold,
            needs_review=screening.needs_review,
            reliable=screening.reliable,
            warnings=[Caution(code=code, message=text) for code, text in screening.warnings],
            heatmap=overlay
            and Heatmap(png=_text(overlay), width=overlay.width, height=overlay.height),
            picture=picture
            and Shown(jpeg=_text(picture), width=picture.width, height=picture.height),
            model=ModelReference(version=model.manifest.version, sha256=model.sha256),
            request_id=request_id,
        )


def _text(picture: Picture) -> str:
    return base64.b64encode(picture.data).decode()
