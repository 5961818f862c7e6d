"""`model.json`: what a bundle says of itself."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.labels import LABELS
from shared.preprocessing import INPUT_SIZE

FORMAT_VERSION: Final = 1
"""Grows when a reader of this format could misread a bundle."""

PNEUMONIA_HEAD: Final = "pneumonia"
VIRAL_HEAD: Final = "viral"
CHEST_XRAY_HEAD: Final = "chest_xray"
FAMILIAR_HEAD: Final = "familiar"

Version = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d{6}Z-[0-9a-f]{8}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Head = Literal["pneumonia", "viral", "chest_xray", "familiar"]
Lack = Literal["calibration", "refusal", "familiarity", "figures"]


class _Part(BaseModel):
    """Unchangeable, with no unknown fields, and with finite numbers only."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


class Input(_Part):
    """The network's input: (N, size, size, channels) float32; "unit" is [0, 1]."""

    size: Literal[224] = INPUT_SIZE
    channels: Literal[1] = 1
    scaling: Literal["unit"] = "unit"


class Calibration(_Part):
    """Platt scaling: P = sigmoid(logit / temperature + bias)."""

    temperature: float = Field(default=1.0, gt=0)
    bias: float = 0.0


class OperatingPoint(_Part):
    """Where a probability becomes a decision.

    PNEUMONIA where P(pneumonia) >= threshold; a second look is advised where low <= P < high.
    """

    threshold: float = Field(gt=0, lt=1)
    rule: str
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _band_in_order(self) -> "OperatingPoint":
        if self.low > self.high:
            raise ValueError(f"the uncertain band is empty: low {self.low} > high {self.high}")
        return self


class Refusal(_Part):
    """An image whose `chest_xray` logit is below `minimum` is refused as no chest X-ray."""

    minimum: float
    rule: str


class Unfamiliar(_Part):
    """An image whose strangeness is above `maximum` is unfamiliar.

    Strangeness is the root mean square of its whitened features, less `weight` times its `familiar`
    logit.
    """

    maximum: float
    weight: float = Field(default=0.0, ge=0)
    rule: str


class Metric(_Part):
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Data(_Part):
    """What the network was fitted on.

    Attributes:
        fingerprint: sha256 over the names and contents of the images, or None if unknown.
        held_out: The same of those among them that validated; None where all were learned from.
        kaggle: Whether they are the Kaggle folders, by the names of their files.
        counts: Images by split and class: {"train": {"NORMAL": 1205, ...}, ...}.
        patients: Patients by split.
    """

    fingerprint: Sha256 | None = None
    held_out: Sha256 | None = None
    kaggle: bool = False
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    patients: dict[str, int] = Field(default_factory=dict)


class Draft(_Part):
    """A manifest before it is published: all but the version, the time and the files.

    Attributes:
        labels: The two classes, in the order of the indices 0 and 1.
        heads: What the columns of the output `logits` mean, in order.
        calibration: Of the head `pneumonia`.
        cause_calibration: Of the head `viral`, P(viral | pneumonia); None without that head.
        operating_point: The decision threshold and the uncertain band.
        refusal: None: no image is refused as no chest X-ray.
        unfamiliar: None: nobody knows, as the graph has no output `features`.
        heatmap: Whether the graph has the output `activation_map`.
        metrics: Figures such as accuracy, precision, recall, specificity, f1, roc_auc, ece.
        evaluated_on: What `metrics` were measured on, in words; None if they were not.
        counts: Images of each class that `metrics` were measured on.
        confusion_matrix: Rows are the truth, columns the decision, both in the order of `labels`.
        training: Every option of the run, its seed, the versions of libraries.
        data: What the network was fitted on.
        lacks: What nobody fitted or measured, so that answers are worth less than they look. Absent
            from bundles of older versions of this program.
    """

    labels: tuple[Literal["NORMAL"], Literal["PNEUMONIA"]] = LABELS
    input: Input = Input()
    heads: tuple[Head, ...] = (PNEUMONIA_HEAD,)
    calibration: Calibration = Calibration()
    cause_calibration: Calibration | None = None
    operating_point: OperatingPoint
    refusal: Refusal | None = None
    unfamiliar: Unfamiliar | None = None
    heatmap: bool = False
    metrics: dict[str, Metric] = Field(default_factory=dict)
    evaluated_on: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    confusion_matrix: tuple[tuple[int, int], tuple[int, int]] | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    data: Data = Data()
    lacks: tuple[Lack, ...] = ()

    @model_validator(mode="after")
    def _heads_fit(self) -> "Draft":
        if self.heads[:1] != (PNEUMONIA_HEAD,) or len(set(self.heads)) != len(self.heads):
            raise ValueError(f"heads must begin with 'pneumonia' and be unique: {self.heads}")
        if self.cause_calibration is not None and VIRAL_HEAD not in self.heads:
            raise ValueError("cause_calibration needs the head 'viral'")
        if self.refusal is not None and CHEST_XRAY_HEAD not in self.heads:
            raise ValueError("refusal needs the head 'chest_xray'")
        if (
            self.unfamiliar is not None
            and self.unfamiliar.weight
            and FAMILIAR_HEAD not in self.heads
        ):
            raise ValueError("a weight of unfamiliar needs the head 'familiar'")
        return self


class Manifest(Draft):
    """The content of `model.json`.

    Attributes:
        format_version: 1.
        version: The name under which the bundle was published: its time and content.
        created: When it was published, UTC.
        files: sha256 of every other file of the bundle, by name.
    """

    format_version: Literal[1] = FORMAT_VERSION
    version: Version
    created: datetime
    files: dict[FileName, Sha256]
