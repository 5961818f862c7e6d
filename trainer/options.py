"""The options of a run beside the recipe, and all of them as arguments of the command line."""

import argparse
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from trainer.calibration import KINDS
from trainer.operating_point import RULES_HELP, parse_rule
from trainer.recipe import Recipe, knob
from trainer.splits import STRESS_KINDS, StressKind

HOLDOUTS = ("plain", *STRESS_KINDS)


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
        "plain",
        " | ".join(HOLDOUTS),
        "who validates: patients like the others, or those most unlike the rest by style",
    )
    limit: int = knob(0, "images of each class; 0: all", "a quick try on a part of the data")
    calibration: str = knob(
        "temperature+bias", " | ".join(KINDS), "probabilities that mean what they say"
    )
    rule: str = knob("cost=2", RULES_HELP, "how the decision threshold is chosen on validation")
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

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members: received {self.members}; accepts 1 or more")
        if not 0 < self.validation_share <= 0.5:
            raise ValueError(
                f"validation_share: received {self.validation_share}; "
                "accepts more than 0, at most 0.5"
            )
        _one_of("holdout", self.holdout, HOLDOUTS)
        _one_of("calibration", self.calibration, KINDS)
        parse_rule(self.rule)
        for name in ("rule_out", "rule_in"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"{name}: received {getattr(self, name)}; accepts more than 0, less than 1"
                )
        for name in ("seed", "limit", "resamples", "samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: received {getattr(self, name)}; accepts 0 or more")

    @property
    def stress(self) -> StressKind | None:
        """The kind of stress fold that validates; None for a plain one."""
        return next((kind for kind in get_args(StressKind) if kind == self.holdout), None)

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, for the manifest."""
        return asdict(self)


def add_knobs(parser: argparse.ArgumentParser, of: type[Options] | type[Recipe]) -> None:
    """Give a parser one option for each field, absent from its result unless given."""
    for item in fields(of):
        name, default = f"--{item.name.replace('_', '-')}", item.default
        text = f"{item.metadata['help']}; default {default}".replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(
                name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            kind = type(default)
            shown = {int: "N", float: "X", str: "TEXT"}[kind]
            parser.add_argument(
                name, type=kind, metavar=shown, default=argparse.SUPPRESS, help=text
            )


def given(arguments: argparse.Namespace, of: type[Options] | type[Recipe]) -> dict[str, Any]:
    """The fields that the command line names."""
    names = {item.name for item in fields(of)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: received {value!r}; accepts {', '.join(allowed)}")
