"""What an evaluation means for a physician; `summary.html.j2` says it in a few plain sentences."""

from dataclasses import dataclass
from typing import Final

from shared.bundle.manifest import Draft
from trainer.bootstrap import Interval, difference
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


def compare(result: SetResult, published: Draft) -> dict[str, Comparison]:
    """One set of X-rays beside the figures that its bundle publishes, by name; empty where there
    are none."""
    found: dict[str, Comparison] = {}
    for name, more_is_better in _MORE_IS_BETTER.items():
        if name in result.evaluation.metrics and name in published.metrics:
            here = result.evaluation.metrics[name]
            there = Interval(**published.metrics[name].model_dump())
            gap = difference(here, there)
            verdict = "the same within chance"
            if gap.low > 0 or gap.high < 0:
                verdict = "better here" if (gap.low > 0) == more_is_better else "worse here"
            found[name] = Comparison(here, there, verdict)
    return found
