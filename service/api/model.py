"""What the served model is, and how good."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.openapi import problem_answers
from service.dependencies import resources
from shared.bundle.manifest import Metric

router = APIRouter(tags=["model"])

MODEL_CARD = "MODEL_CARD.md"


class ModelDescription(BaseModel):
    """The served model."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    sha256: str = Field(description="of the network's file")
    created: datetime
    labels: list[str]
    threshold: float = Field(description="PNEUMONIA from this probability on")
    threshold_rule: str = Field(description="how the threshold was chosen")
    uncertain_between: tuple[float, float] = Field(description="needs_review within this band")
    causes: bool = Field(description="whether bacterial and viral are told apart")
    heatmap: bool = Field(description="whether it gives a heatmap")
    refuses_other_images: bool = Field(description="whether it refuses what is no chest X-ray")
    metrics: dict[str, Metric] = Field(description="figures with their 95 % intervals")
    evaluated_on: str | None = Field(description="what the figures were measured on")
    counts: dict[str, int] = Field(description="images that the figures were measured on")
    confusion_matrix: list[list[int]] | None = Field(description="rows: truth, columns: decision")
    warnings: list[str] = Field(description="what every answer of this model warns of")
    model_card: str | None = Field(description="the model card, in Markdown")


@router.get("/model", summary="The served model", responses=problem_answers("not-ready"))
def model(request: Request) -> ModelDescription:
    """What answers now: version, figures with intervals, labels, threshold, model card."""
    served = resources(request).model()
    manifest = served.manifest
    point = manifest.operating_point
    card = served.source / MODEL_CARD
    return ModelDescription(
        version=manifest.version,
        sha256=served.sha256,
        created=manifest.created,
        labels=list(manifest.labels),
        threshold=point.threshold,
        threshold_rule=point.rule,
        uncertain_between=(point.low, point.high),
        causes="viral" in manifest.heads,
        heatmap=manifest.heatmap,
        refuses_other_images=manifest.refusal is not None,
        metrics=manifest.metrics,
        evaluated_on=manifest.evaluated_on,
        counts=manifest.counts,
        confusion_matrix=[list(row) for row in manifest.confusion_matrix or []] or None,
        warnings=[message for _, message in served.caveats],
        model_card=card.read_text(encoding="utf-8") if card.is_file() else None,
    )
