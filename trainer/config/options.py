"""The options of a run beside the recipe: how it splits, decides, measures and reports."""

from dataclasses import asdict, dataclass
from typing import Any

from trainer.config.recipe import are_sizes, knob
from trainer.config.threshold_rules import RULES_HELP, parse_rule

# What a command reads which trains nothing.
DECIDING = ("calibration", "prevalence", "rule", "rule_out", "rule_in")
REPORTING = ("resamples", "samples", "report_images", "caveat")
MEASURING = ("seed", *REPORTING)
CALIBRATIONS = ("temperature+bias", "temperature", "none")
CROSS_VALIDATION = "cross-validation"  # the set of answers out of fold
MACHINES = ("keep", "weigh", "leave-out")


@dataclass(frozen=True)
class Options:
    """How a run splits, decides, measures and reports.

    Raises:
        ValueError: A value out of its range; the message names the option.
    """

    seed: int = knob(0, "any whole number", "the same seed, data and machine repeat a run")
    folds: int = knob(
        3,
        "parts of the training folder, by patient",
        "each is answered by networks that learned from the others; calibration and threshold come "
        "from these answers, and what is published learns from all",
    )
    fold_sizes: str = knob(
        "96",
        "as --sizes; empty: the same",
        "of the networks that learn from parts: small ones take a third of the time",
    )
    machines: str = knob(
        "leave-out",
        " | ".join(MACHINES),
        "what becomes of images of a machine, known by the text that it burns in, on which nearly "
        "all are of one class: it would stand for the class; weigh draws them a quarter as often",
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
        "share of pneumonia, 0 to 1; 0: as among the training images; unused without calibration",
        "what the probabilities assume; the network learns from as many of each class",
    )
    rule: str = knob(
        "fixed=0.5",
        RULES_HELP,
        "the decision threshold; a network that learned from even classes balances at one half, and "
        "what is fitted to folds of the same hospital lies too low elsewhere",
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
        if self.folds < 2:
            raise ValueError(f"folds: received {self.folds}; accepts 2 or more")
        if self.fold_sizes:
            are_sizes("fold_sizes", self.fold_sizes)
        _one_of("machines", self.machines, MACHINES)
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

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, for the manifest."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: received {value!r}; accepts {', '.join(allowed)}")
