"""The options of a run beside the recipe: how it splits, decides, measures and reports."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from trainer.config.recipe import knob
from trainer.config.threshold_rules import RULES_HELP, parse_rule

# Named here rather than where they are used, so that --help need not load scikit-learn or SciPy.
StressKind = Literal["swapped", "outlier", "cluster", "late", "ends"]
STRESS_KINDS: tuple[StressKind, ...] = get_args(StressKind)
HOLDOUTS = ("plain", *STRESS_KINDS)
# What a command reads which trains nothing.
DECIDING = ("calibration", "prevalence", "rule", "rule_out", "rule_in")
REPORTING = ("resamples", "samples", "report_images", "caveat")
MEASURING = ("seed", *REPORTING)
CALIBRATIONS = ("temperature+bias", "temperature", "none")


@dataclass(frozen=True)
class Options:
    """How a run splits, decides, measures and reports.

    Raises:
        ValueError: A value out of its range; the message names the option.
    """

    seed: int = knob(0, "any whole number", "the same seed, data and machine repeat a run")
    members: int = knob(1, "networks", "an ensemble of so many, published as one graph")
    validation_share: float = knob(
        0.1, "share of the training images, 0 to 0.5", "held out by patient"
    )
    holdout: str = knob(
        "ends",
        " | ".join(HOLDOUTS),
        "who validates: patients like the others, or those most unlike the rest; "
        "plain where ends or late are asked for and no patient has a number",
    )
    limit: int = knob(0, "images of each class; 0: all", "a quick try on a part of the data")
    refusal_images: int = knob(
        8000,
        "views of chest X-rays, at most 4 of each, and as many other pictures; 0: none is refused",
        "to learn what is no chest X-ray",
    )
    calibration: str = knob(
        "temperature", " | ".join(CALIBRATIONS), "probabilities that mean what they say"
    )
    prevalence: float = knob(
        0.5,
        "share of pneumonia, 0 to 1; 0: as among the validation images; unused without calibration",
        "what the probabilities assume; the network learns from as many of each class",
    )
    rule: str = knob(
        "sensitivity=0.95",
        RULES_HELP,
        "how the decision threshold is chosen on validation: a missed pneumonia costs most, and "
        "those of the default fold are harder to find than others",
    )
    rule_out: float = knob(
        0.99, "sensitivity, 0 to 1", "below the uncertain band lie only so few pneumonias"
    )
    rule_in: float = knob(
        0.99, "specificity, 0 to 1", "above the uncertain band lie only so few normal images"
    )
    resamples: int = knob(1000, "bootstrap draws of patients", "for the 95 % intervals")
    samples: int = knob(8, "pictures of each kind", "shown in the report, with heatmaps")
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

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members: received {self.members}; accepts 1 or more")
        if not 0 < self.validation_share <= 0.5:
            raise ValueError(
                f"validation_share: received {self.validation_share}; "
                "accepts more than 0, at most 0.5"
            )
        _one_of("holdout", self.holdout, HOLDOUTS)
        _one_of("calibration", self.calibration, CALIBRATIONS)
        parse_rule(self.rule)
        if not 0 <= self.prevalence < 1:
            raise ValueError(
                f"prevalence: received {self.prevalence}; accepts 0 or more, less than 1"
            )
        for name in ("rule_out", "rule_in"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"{name}: received {getattr(self, name)}; accepts more than 0, less than 1"
                )
        if self.refusal_images == 1:
            raise ValueError("refusal_images: received 1; accepts 0, or 2 or more")
        if self.resamples < 20:
            raise ValueError(
                f"resamples: received {self.resamples}; accepts 20 or more, of which the intervals "
                "leave out the outermost twentieth"
            )
        for name in ("seed", "limit", "refusal_images", "samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: received {getattr(self, name)}; accepts 0 or more")

    @property
    def stress(self) -> StressKind | None:
        """The kind of stress fold that validates; None for a plain one."""
        return next((kind for kind in STRESS_KINDS if kind == self.holdout), None)

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, for the manifest."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: received {value!r}; accepts {', '.join(allowed)}")
