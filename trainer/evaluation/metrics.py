"""How good the answers are: the figures of a diagnostic test, each with a 95 % interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import OperatingPoint
from shared.interpretation import Answers
from trainer.bootstrap import Interval, Weights, intervals, wilson
from trainer.config.options import Options

ECE_BINS = 15
FIGURES: dict[str, str] = {
    "accuracy": "share of right answers",
    "recall": "sensitivity: share of the pneumonias that are found",
    "specificity": "share of the normal images called normal",
    "precision": "share of the alarms that are pneumonias, at this prevalence",
    "f1": "harmonic mean of precision and recall",
    "balanced_accuracy": "mean of sensitivity and specificity",
    "roc_auc": "chance that a pneumonia gets a higher probability than a normal image",
    "average_precision": "area under the precision-recall curve",
    "ece": f"expected calibration error, {ECE_BINS} bins",
    "brier": "mean squared error of the probability",
    "reviewed": "share inside the uncertain band",
    "three_class_accuracy": "share of right answers among normal, bacterial and viral",
    "cause_auc": "chance that a viral pneumonia gets a higher P(viral) than a bacterial one",
}


@dataclass(frozen=True)
class Judged:
    """What is said of images, beside the truth.

    Attributes:
        answers: What the served rule says of each, (N,).
        point: The threshold and the uncertain band of that rule.
        labels: (N,) 0 or 1.
        patients: (N,).
        causes: (N,) 0 bacterial, 1 viral, -1 unknown or normal.
    """

    answers: Answers
    point: OperatingPoint
    labels: NDArray[np.int64]
    patients: list[str]
    causes: NDArray[np.int64]

    @property
    def probability(self) -> NDArray[np.float64]:
        """(N,) calibrated P(pneumonia)."""
        return self.answers.probability

    def three_classes(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]] | None:
        """Truth and answer in {0 normal, 1 bacterial, 2 viral} of the images whose truth is known,
        and which these are; None where no cause is known, or none told."""
        share = self.answers.viral_share
        if share is None or not (self.causes >= 0).any():
            return None
        known = (self.labels == 0) | (self.causes >= 0)
        truth = np.where(self.labels == 0, 0, self.causes + 1)
        answer = np.where(self.answers.pneumonia, np.where(share >= 0.5, 2, 1), 0)
        return truth[known].astype(np.int64), answer[known].astype(np.int64), known


@dataclass(frozen=True)
class Evaluation:
    """The figures of one set of images.

    Attributes:
        metrics: By the names of `FIGURES`; those that are not defined here are absent.
        confusion: Rows truth, columns answer, in the order NORMAL, PNEUMONIA.
        confusion_three: Rows truth, columns answer: normal, bacterial, viral; None if unknown.
        images: How many images.
        patients: How many patients.
    """

    metrics: dict[str, Interval]
    confusion: list[list[int]]
    confusion_three: list[list[int]] | None
    images: int
    patients: int


def evaluate(judged: Judged, options: Options) -> Evaluation:
    """Measure everything, with intervals from resampled patients.

    Where a figure is 0 or 1 every draw is alike, which says nothing: its interval is Wilson's of as
    many patients as it is about; of the smaller class where it compares two.

    Args:
        judged: The answers and the truth; both classes present.
        options: Bootstrap draws for the intervals, and their seed.
    """
    measured = intervals(
        lambda w: figures_of(judged, w), judged.patients, options.resamples, options.seed
    )
    behind = _patients_behind(judged)
    for name, found in measured.items():
        if found.value in (0, 1):
            measured[name] = wilson(round(found.value) * behind[name], behind[name])
    called = judged.answers.pneumonia.astype(np.int64)
    three = judged.three_classes()
    return Evaluation(
        metrics=measured,
        confusion=_confusion(judged.labels, called, 2),
        confusion_three=_confusion(three[0], three[1], 3) if three else None,
        images=len(judged.labels),
        patients=len(set(judged.patients)),
    )


def expected_calibration_error(
    probability: NDArray[np.float64], labels: NDArray[np.int64], weight: Weights | None = None
) -> float:
    """Mean distance between the probability and how often it is right, over 15 equal bins.

    Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    AAAI 2015: bins of P(pneumonia), each weighted by its share of the images.
    """
    w = np.ones(len(labels)) if weight is None else weight
    bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    gap = np.bincount(bins, w * (probability - labels), ECE_BINS)
    return float(np.abs(gap).sum() / w.sum())


def area_under_roc(
    score: NDArray[np.floating], labels: NDArray[np.int64], weight: Weights | None = None
) -> float:
    """ROC AUC as the Mann-Whitney statistic, ties counted half; NaN if a class has no weight.

    Hanley and McNeil, Radiology 143, 1982. Written out because scikit-learn's takes about a
    millisecond a call, and the intervals take thousands of calls.
    """
    w = np.ones(len(labels)) if weight is None else weight
    _, index = np.unique(score, return_inverse=True)
    positive = np.bincount(index, w * (labels == 1))
    negative = np.bincount(index, w * (labels == 0))
    if not positive.sum() or not negative.sum():
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def _average_precision(
    score: NDArray[np.float64], labels: NDArray[np.int64], weight: Weights
) -> float:
    _, index = np.unique(-score, return_inverse=True)
    hits = np.cumsum(np.bincount(index, weight * (labels == 1)))
    alarms = np.cumsum(np.bincount(index, weight))
    if not hits[-1]:
        return float("nan")
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / np.maximum(alarms, 1e-12)).sum() / hits[-1])


def figures_of(judged: Judged, weight: Weights) -> dict[str, float]:
    """Every figure without an interval, by the names of `FIGURES`; NaN where it is not defined.

    Args:
        judged: The answers and the truth.
        weight: (N,) how often each image counts.
    """
    called, sick = judged.answers.pneumonia, judged.labels == 1
    found, alarms = weight[called & sick].sum(), weight[called].sum()
    sick_weight, well_weight = weight[sick].sum(), weight[~sick].sum()
    cleared = weight[~called & ~sick].sum()
    recall, specificity = _ratio(found, sick_weight), _ratio(cleared, well_weight)
    p = judged.probability
    figures = {
        "accuracy": _ratio(found + cleared, weight.sum()),
        "recall": recall,
        "specificity": specificity,
        "precision": _ratio(found, alarms),
        "f1": _ratio(2 * found, alarms + sick_weight),
        "balanced_accuracy": (recall + specificity) / 2,
        "roc_auc": area_under_roc(p, judged.labels, weight),
        "average_precision": _average_precision(p, judged.labels, weight),
        "ece": expected_calibration_error(p, judged.labels, weight),
        "brier": _ratio(float((weight * (p - judged.labels) ** 2).sum()), weight.sum()),
        "reviewed": _ratio(weight[judged.answers.uncertain].sum(), weight.sum()),
    }
    three, share = judged.three_classes(), judged.answers.viral_share
    if three is not None and share is not None:
        truth, answer, known = three
        figures["three_class_accuracy"] = _ratio(
            weight[known][truth == answer].sum(), weight[known].sum()
        )
        cause = judged.causes >= 0
        figures["cause_auc"] = area_under_roc(share[cause], judged.causes[cause], weight[cause])
    return figures


def _patients_behind(judged: Judged) -> dict[str, int]:
    """How many patients each figure is about."""
    called, sick = judged.answers.pneumonia, judged.labels == 1
    everybody = np.ones(len(sick), bool)
    both = ("balanced_accuracy", "roc_auc", "average_precision")
    about = {
        **{name: [everybody] for name in ("accuracy", "ece", "brier", "reviewed")},
        **{name: [sick, ~sick] for name in both},
        "recall": [sick],
        "specificity": [~sick],
        "precision": [called],
        "f1": [sick | called],
    }
    three = judged.three_classes()
    if three is not None:
        about["three_class_accuracy"] = [three[2]]
        about["cause_auc"] = [judged.causes == 0, judged.causes == 1]
    patients = np.asarray(judged.patients)
    return {
        name: min(len(np.unique(patients[group])) for group in groups)
        for name, groups in about.items()
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _confusion(truth: NDArray[np.int64], answer: NDArray[np.int64], size: int) -> list[list[int]]:
    return [[int(((truth == t) & (answer == a)).sum()) for a in range(size)] for t in range(size)]
