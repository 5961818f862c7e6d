"""What a recalibration changes, and whether chance alone could have changed as much."""

from dataclasses import dataclass
from typing import Any

from shared.interpretation import Interpretation
from trainer.bootstrap import Interval, Weights, intervals
from trainer.config.options import Options
from trainer.decision.recalibration import RULE, Recalibrated, rule_numbers
from trainer.evaluation.metrics import FIGURES, Evaluation, Judged, figures_of

_NAMES = {"recall": "sensitivity", "specificity": "specificity", "ece": "the calibration error"}
COMPARED = tuple(_NAMES)


@dataclass(frozen=True)
class Change:
    """One figure before and after.

    Attributes:
        name: E.g. "recall", or a number of the rule, e.g. "threshold".
        what: What it is.
        before: Without an interval (`low` = `high`) where it is a number of the rule.
        after: Out of fold for a figure; of the published rule for a number of it.
        difference: After less before, with the interval of the difference.
    """

    name: str
    what: str
    before: Interval
    after: Interval
    difference: Interval

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0

    @property
    def verdict(self) -> str:
        """How sure the change is, in words."""
        low, high = self.difference.low, self.difference.high
        if low == high == 0:
            return "no change on these X-rays"
        if self.beyond_chance:
            return "changed by more than chance"
        return "may be none: the interval of the difference includes 0"

    def to_json(self) -> dict[str, Any]:
        """For the manifest: numbers of four digits."""
        parts = {"before": self.before, "after": self.after, "difference": self.difference}
        return {
            "figure": self.name,
            **{
                name: [round(x, 4) for x in (part.value, part.low, part.high)]
                for name, part in parts.items()
            },
            "beyond_chance": self.beyond_chance,
        }


def changes_of(
    kept: Interpretation,
    found: Recalibrated,
    before: tuple[Judged, Evaluation],
    after: tuple[Judged, Evaluation],
    options: Options,
) -> list[Change]:
    """Compare a rule with the one before.

    Args:
        before: The images, answered by the rule before, and its figures.
        after: The same images, answered out of fold, and the figures.
        options: Draws of patients, the same for before and after, and their seed.
    """
    changes = []
    for name, old in rule_numbers(kept).items():
        new = found.rule[name]
        difference = Interval(new.value - old, new.low - old, new.high - old)
        changes.append(Change(name, RULE[name], Interval(old, old, old), new, difference))

    def differences(weight: Weights) -> dict[str, float]:
        was, now = (figures_of(judged, weight) for judged, _ in (before, after))
        return {name: now[name] - was[name] for name in COMPARED}

    drawn = intervals(differences, before[0].patients, options.resamples, options.seed)
    was, now = before[1].metrics, after[1].metrics
    return changes + [
        Change(name, FIGURES[name], was[name], now[name], drawn[name]) for name in COMPARED
    ]


def conclusion(changes: list[Change]) -> str:
    """What the changes of the figures come to, in a sentence."""
    figures = {change.name: change for change in changes if change.name in COMPARED}
    sure = [name for name, change in figures.items() if change.beyond_chance]
    if not sure:
        return (
            "Neither sensitivity nor specificity nor the calibration error changed by more than "
            "chance: the bundle before serves these patients as well, as far as so many tell."
        )
    said = [
        f"{_NAMES[name]} {'rose' if figures[name].difference.value > 0 else 'fell'}"
        for name in sure
    ]
    return f"By more than chance, {' and '.join(said)}."
