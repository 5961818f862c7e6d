"""What an evaluation means for a physician; `summary.html.j2` says it in a few plain sentences."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.bundle.manifest import Draft
from shared.labels import LABELS
from trainer.bootstrap import Interval, difference
from trainer.decision.recalibration import MINIMUM
from trainer.evaluation.results import SetResult

MANY: Final = 0.2
"""Share of X-rays refused or flagged as unlike from which on a network is not for such patients."""

_MORE_IS_BETTER: Final = {"recall": True, "specificity": True, "roc_auc": True, "ece": False}


@dataclass(frozen=True)
class Comparison:
    """A figure here beside the one that the bundle publishes.

    Attributes:
        here: Measured here.
        published: As published, on other patients.
        verdict: "the same within chance", "worse here" or "better here".
    """

    here: Interval
    published: Interval
    verdict: str


@dataclass(frozen=True)
class Summary:
    """The top of the report.

    Attributes:
        result: What was measured.
        counts: Images of each class, in the order of `LABELS`.
        refused: Images refused as no chest X-rays.
        unlike: Images flagged as unlike those that the network knows.
        comparisons: With the published figures, by name; empty where there are none.
        published_on: What those were measured on.
        no_better_than_chance: Whether it may tell pneumonia from normal no better than chance.
        knows_too_few: Whether it says of many images that it does not know their like.
    """

    result: SetResult
    counts: tuple[int, ...]
    refused: int
    unlike: int
    comparisons: dict[str, Comparison]
    published_on: str
    no_better_than_chance: bool
    knows_too_few: bool

    @property
    def enough(self) -> bool:
        """Whether there are enough images of each class to decide on."""
        return min(self.counts) >= MINIMUM

    @property
    def worse(self) -> list[str]:
        """Figures that are worse here than published, beyond chance."""
        return [name for name, found in self.comparisons.items() if found.verdict == "worse here"]


def summarise(result: SetResult, published: Draft) -> Summary:
    """Put one set of X-rays beside the figures that its bundle publishes."""
    found, answers = result.evaluation.metrics, result.judged.answers
    refused, unlike = (
        0 if flags is None else int(np.sum(flags))
        for flags in (answers.refused, answers.unfamiliar)
    )
    return Summary(
        result,
        tuple(int((result.split.labels == index).sum()) for index in range(len(LABELS))),
        refused,
        unlike,
        {
            name: _compare(name, found[name], published)
            for name in _MORE_IS_BETTER
            if name in found and name in published.metrics
        },
        published.evaluated_on or "",
        no_better_than_chance=found["roc_auc"].low <= 0.5,
        knows_too_few=result.told is not None and result.told.value > MANY,
    )


def _compare(name: str, here: Interval, published: Draft) -> Comparison:
    metric = published.metrics[name]
    there = Interval(metric.value, metric.low, metric.high)
    gap = difference(here, there)
    verdict = "the same within chance"
    if gap.low > 0 or gap.high < 0:
        verdict = "better here" if (gap.low > 0) == _MORE_IS_BETTER[name] else "worse here"
    return Comparison(here, there, verdict)
