"""The options of a run beside the recipe: how it splits, decides, measures and reports."""

from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from trainer.config.knobs import FINITE, CountOrNone, OpenShare, Share, knob
from trainer.config.threshold_rules import RULES_HELP, parse_rule

# What a command reads which trains nothing.
DECIDING = ("calibration", "prevalence", "rule", "rule_out", "rule_in")
REPORTING = ("resamples", "samples", "report_images", "caveat")
MEASURING = ("seed", *REPORTING)
# What `recalibrate` begins with; its rule is the bundle's own, where that chooses a threshold.
RECALIBRATING: dict[str, Any] = {
    "folds": 5,
    "calibration": "temperature+bias",
    "prevalence": 0.0,
    "rule": "balanced",
    "report_images": False,
}
Calibrations = Literal["temperature+bias", "temperature", "none"]
CALIBRATIONS: tuple[str, ...] = get_args(Calibrations)
CROSS_VALIDATION = "cross-validation"  # the set of answers out of fold
Machines = Literal["keep", "weigh", "leave-out"]
MACHINES: tuple[str, ...] = get_args(Machines)


@dataclass(frozen=True, config=FINITE)
class Options:
    """How a run splits, decides, measures and reports.

    Raises:
        ValidationError: A value out of its range.
    """

    seed: CountOrNone = knob(0, "any whole number", "the same seed, data and machine repeat a run")
    folds: Annotated[int, Field(ge=2)] = knob(
        3,
        "parts of the training folder, by patient",
        "each is answered by networks that learned from the others; calibration, the uncertain "
        "band and, unless it is fixed, the threshold come from these answers, and what is "
        "published learns from all",
    )
    machines: Machines = knob(
        "leave-out",
        " | ".join(MACHINES),
        "what becomes of images of a machine, known by the text that it burns in, on which nearly "
        "all are of one class: it would stand for the class; weigh draws them a quarter as often",
    )
    limit: CountOrNone = knob(
        0, "images of each class; 0: all", "a quick try on a part of the data"
    )
    refusal_images: CountOrNone = knob(
        8000,
        "views of chest X-rays, at most 4 of each, and as many other pictures; 0: none is refused",
        "to learn what is no chest X-ray",
    )
    calibration: Calibrations = knob(
        "temperature", " | ".join(CALIBRATIONS), "probabilities that mean what they say"
    )
    prevalence: Share = knob(
        0.5,
        "share of pneumonia, 0 to 1; 0: as among the training images; unused without calibration",
        "what the probabilities assume; the network learns from as many of each class",
    )
    rule: str = knob(
        "fixed=0.5",
        RULES_HELP,
        "the decision threshold; a network that learned from even classes balances at one half, "
        "and what is fitted to folds of the same hospital lies too low elsewhere",
    )
    rule_out: OpenShare = knob(
        0.99, "sensitivity, 0 to 1", "below the uncertain band lie only so few pneumonias"
    )
    rule_in: OpenShare = knob(
        0.99, "specificity, 0 to 1", "above the uncertain band lie only so few normal images"
    )
    resamples: Annotated[int, Field(ge=20)] = knob(
        1000, "bootstrap draws of patients", "for the 95 % intervals"
    )
    samples: CountOrNone = knob(8, "pictures of each kind", "shown in the report, with heatmaps")
    report_images: bool = knob(
        True,
        "on or off",
        "X-rays and file names in the report; turn off if the bundle leaves the house",
    )
    caveat: str = knob(
        "",
        "a sentence or two",
        "what readers of the figures must know, such as how often the test images were looked at; "
        "stands beside them in the report and in the model card",
    )

    @field_validator("rule")
    @classmethod
    def _known_rule(cls, text: str) -> str:
        parse_rule(text)
        return text

    @field_validator("refusal_images")
    @classmethod
    def _none_or_some(cls, count: int) -> int:
        if count == 1:
            raise ValueError("0, or 2 or more")
        return count

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, for the manifest."""
        return asdict(self)
