"""The JSON that callers get, and its description for OpenAPI."""

import base64
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.screening import Screening

Probability = Field(ge=0, le=1)


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
    """The evidence for pneumonia, laid over the image."""

    png: str = Field(
        description="the overlay as PNG, base64", json_schema_extra={"contentEncoding": "base64"}
    )
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")


class ModelReference(_Answer):
    """Which model answered."""

    version: str
    sha256: str = Field(description="of the network's file")


class Answer(_Answer):
    """What is said about one image. A second opinion, never a diagnosis."""

    label: Literal["NORMAL", "PNEUMONIA"] = Field(
        description="the decision at the model's threshold"
    )
    probability: float = Field(ge=0, le=1, description="calibrated probability of pneumonia")
    probabilities: Probabilities
    causes: Causes | None = Field(description="null where the model does not tell them apart")
    threshold: float = Field(ge=0, le=1, description="PNEUMONIA from this probability on")
    needs_review: bool = Field(description="uncertain, or an unfamiliar image: have a person look")
    warnings: list[Caution]
    heatmap: Heatmap | None = Field(description="with ?heatmap=true")
    model: ModelReference
    request_id: str

    @classmethod
    def of(cls, screening: Screening, request_id: str) -> "Answer":
        """The answer that tells a screening."""
        overlay = screening.overlay
        return cls(
            label=screening.label,
            probability=screening.probability,
            probabilities=Probabilities(**screening.probabilities),
            causes=Causes(**screening.causes) if screening.causes else None,
            threshold=screening.threshold,
            needs_review=screening.needs_review,
            warnings=[Caution(code=code, message=text) for code, text in screening.warnings],
            heatmap=overlay
            and Heatmap(
                png=base64.b64encode(overlay.png).decode(),
                width=overlay.width,
                height=overlay.height,
            ),
            model=ModelReference(
                version=screening.model.manifest.version, sha256=screening.model.sha256
            ),
            request_id=request_id,
        )
