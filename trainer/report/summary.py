"""What an evaluation means for a physician, in a few plain sentences."""

from dataclasses import dataclass

import numpy as np

from shared.bundle.manifest import Draft
from shared.labels import LABELS
from trainer.bootstrap import Interval, difference
from trainer.decision.recalibration import MINIMUM
from trainer.evaluation.results import SetResult

MANY = 0.2
"""Share of X-rays refused or flagged as unlike from which on a network is not for such patients."""

_COMPARED = {
    "recall": ("pneumonias found", True),
    "specificity": ("normal X-rays called normal", True),
    "roc_auc": ("ranking of pneumonias above normal X-rays (ROC AUC)", True),
    "ece": ("error of the probabilities", False),
}


@dataclass(frozen=True)
class Comparison:
    """A figure here beside the one that the bundle publishes.

    Attributes:
        what: The figure, in words.
        here: Measured here.
        published: As published, on other patients.
        verdict: "the same within chance", "worse here" or "better here".
    """

    what: str
    here: Interval
    published: Interval
    verdict: str


@dataclass(frozen=True)
class Summary:
    """The top of the report.

    Attributes:
        facts: Sentences: what was measured.
        comparisons: With the published figures; empty where there are none.
        published_on: What those were measured on.
        advice: What to do next, sentences.
        mendable: Whether recalibrating could help at all.
    """

    facts: list[str]
    comparisons: list[Comparison]
    published_on: str
    advice: list[str]
    mendable: bool


def summarise(result: SetResult, published: Draft) -> Summary:
    """Put one set of X-rays in words, beside the figures that its bundle publishes."""
    found = result.evaluation
    comparisons = {
        name: _compare(name, found.metrics[name], published)
        for name in _COMPARED
        if name in found.metrics and name in published.metrics
    }
    counts = [int((result.split.labels == index).sum()) for index in range(len(LABELS))]
    told = result.told
    facts = [
        f"{found.images:,} labelled X-rays of {found.patients:,} patients: {counts[1]:,} with "
        f"pneumonia and {counts[0]:,} normal.",
        f"Of 100 pneumonias it finds {_of_100(found.metrics['recall'])}.",
        f"Of 100 normal X-rays it calls {_of_100(found.metrics['specificity'])} normal; the others "
        "are false alarms.",
    ]
    if told is not None:
        either = (result.judged.answers.refused, result.judged.answers.unfamiliar)
        refused, unlike = (0 if flags is None else int(np.sum(flags)) for flags in either)
        facts.append(
            f"{refused:,} X-rays were refused as no chest X-rays, and {unlike:,} flagged as unlike "
            f"those that it knows; in all, of 100 X-rays {_of_100(told)} get no answer to rely on. "
            "The shares above count them all the same."
        )
    forbidden = _not_here(result)
    worse = {name for name, comparison in comparisons.items() if "worse" in comparison.verdict}
    return Summary(
        facts,
        list(comparisons.values()),
        published.evaluated_on or "",
        [forbidden] if forbidden else _advice(min(counts), worse),
        not forbidden,
    )


def _compare(name: str, here: Interval, published: Draft) -> Comparison:
    what, more_is_better = _COMPARED[name]
    metric = published.metrics[name]
    there = Interval(metric.value, metric.low, metric.high)
    gap = difference(here, there)
    verdict = "the same within chance"
    if gap.low > 0 or gap.high < 0:
        verdict = "better here" if (gap.low > 0) == more_is_better else "worse here"
    return Comparison(what, here, there, verdict)


def _not_here(result: SetResult) -> str:
    """Why nobody should use the network for such patients, recalibrated or not; may be empty."""
    if result.evaluation.metrics["roc_auc"].low <= 0.5:
        return (
            "Do not use it here: on these X-rays it tells pneumonia from normal no better than "
            "chance may, and recalibrating does not mend that."
        )
    if result.told is not None and result.told.value > MANY:
        return (
            "Do not use it for such patients: it says itself of many of these X-rays that it does "
            "not know their like, and recalibrating does not change that."
        )
    return ""


def _advice(fewest: int, worse: set[str]) -> list[str]:
    """What to do next, the gravest first."""
    advice = []
    if fewest < MINIMUM:
        advice.append(
            f"These are too few to decide on: collect at least {MINIMUM} X-rays of each class and "
            "measure again. Until then, let it decide nothing here."
        )
    if "roc_auc" in worse:
        advice.append(
            "It ranks X-rays worse here than where its figures were measured. Recalibrating shifts "
            "the balance between missed pneumonias and false alarms; it does not mend the ranking."
        )
    if fewest >= MINIMUM and worse:
        advice.append(
            "Recalibrate it to these X-rays, and look at what that changes; where both kinds of "
            "mistakes stay too many, do not use it here."
        )
    if not advice:
        advice.append(
            "Nothing here is worse than published beyond chance. Use it as a second opinion, never "
            "as a diagnosis, and measure again when devices or patients change."
        )
    return advice


def _of_100(share: Interval) -> str:
    """A share as "93 (95 % interval 87 to 97)", never rounded to none or all."""
    value, low, high = (_hundredths(x) for x in (share.value, share.low, share.high))
    return f"{value} (95 % interval {low} to {high})"


def _hundredths(share: float) -> str:
    text = f"{100 * share:.0f}"
    return f"{100 * share:.1f}" if text in ("0", "100") and 0 < share < 1 else text
