"""How good the answers are: the figures of a diagnostic test, each with a 95 % interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.bootstrap import Interval, Weights, intervals, wilson

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
class Answers:
    """What the network says about images, beside the truth.

    Attributes:
        probability: (N,) calibrated P(pneumonia).
        labels: (N,) 0 or 1.
        patients: (N,).
        threshold: PNEUMONIA from here on.
        low: Start of the uncertain band.
        high: Its end.
        viral: (N,) calibrated P(viral | pneumonia); None without that head.
        causes: (N,) 0 bacterial, 1 viral, -1 unknown or normal.
    """

    probability: NDArray[np.float64]
    labels: NDArray[np.int64]
    patients: list[str]
    threshold: float
    low: float
    high: float
    viral: NDArray[np.float64] | None = None
    causes: NDArray[np.int64] | None = None

    def called(self) -> NDArray[np.bool_]:
        """(N,) called PNEUMONIA."""
        return np.asarray(self.probability >= self.threshold)

    def three_classes(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]] | None:
        """Truth and answer in {0 normal, 1 bacterial, 2 viral}; which images have a known truth."""
        if self.viral is None or self.causes is None:
            return None
        known = (self.labels == 0) | (self.causes >= 0)
        if not (self.causes >= 0).any():
            return None
        truth = np.where(self.labels == 0, 0, self.causes + 1)
        answer = np.where(self.called(), np.where(self.viral >= 0.5, 2, 1), 0)
        return truth.astype(np.int64), answer.astype(np.int64), known


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


def evaluate(answers: Answers, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Measure everything, with intervals from resampled patients.

    Where a figure is 0 or 1 every draw is alike, which says nothing: its interval is Wilson's of as
    many patients as it is about; of the smaller class where it compares two.

    Args:
        answers: The probabilities and the truth; both classes present.
        resamples: Bootstrap draws for the intervals.
        seed: Of the draws.
    """
    measured = intervals(lambda w: _measure(answers, w), answers.patients, resamples, seed)
    behind = _patients_behind(answers)
    for name, found in measured.items():
        if found.value in (0, 1):
            measured[name] = wilson(round(found.value) * behind[name], behind[name])
    called = answers.called().astype(np.int64)
    three = answers.three_classes()
    return Evaluation(
        metrics=measured,
        confusion=_confusion(answers.labels, called, 2),
        confusion_three=_confusion(three[0][three[2]], three[1][three[2]], 3) if three else None,
        images=len(answers.labels),
        patients=len(set(answers.patients)),
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
    score: NDArray[np.float64], labels: NDArray[np.int64], weight: Weights | None = None
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


def _measure(answers: Answers, weight: Weights) -> dict[str, float]:
    called, sick = answers.called(), answers.labels == 1
    found, alarms = weight[called & sick].sum(), weight[called].sum()
    sick_weight, well_weight = weight[sick].sum(), weight[~sick].sum()
    cleared = weight[~called & ~sick].sum()
    recall, specificity = _ratio(found, sick_weight), _ratio(cleared, well_weight)
    p = answers.probability
    figures = {
        "accuracy": _ratio(found + cleared, weight.sum()),
        "recall": recall,
        "specificity": specificity,
        "precision": _ratio(found, alarms),
        "f1": _ratio(2 * found, alarms + sick_weight),
        "balanced_accuracy": (recall + specificity) / 2,
        "roc_auc": area_under_roc(p, answers.labels, weight),
        "average_precision": _average_precision(p, answers.labels, weight),
        "ece": expected_calibration_error(p, answers.labels, weight),
        "brier": _ratio(float((weight * (p - answers.labels) ** 2).sum()), weight.sum()),
        "reviewed": _ratio(weight[(p >= answers.low) & (p < answers.high)].sum(), weight.sum()),
    }
    three = answers.three_classes()
    if three is not None and answers.viral is not None and answers.causes is not None:
        truth, answer, known = three
        figures["three_class_accuracy"] = _ratio(
            weight[known & (truth == answer)].sum(), weight[known].sum()
        )
        cause = answers.causes >= 0
        figures["cause_auc"] = area_under_roc(
            answers.viral[cause], answers.causes[cause], weight[cause]
        )
    return figures


def _patients_behind(answers: Answers) -> dict[str, int]:
    """How many patients each figure is about."""
    called, sick = answers.called(), answers.labels == 1
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
    three = answers.three_classes()
    if three is not None and answers.causes is not None:
        about["three_class_accuracy"] = [three[2]]
        about["cause_auc"] = [answers.causes == 0, answers.causes == 1]
    patients = np.asarray(answers.patients)
    return {
        name: min(len(np.unique(patients[group])) for group in groups)
        for name, groups in about.items()
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _confusion(truth: NDArray[np.int64], answer: NDArray[np.int64], size: int) -> list[list[int]]:
    return [[int(((truth == t) & (answer == a)).sum()) for a in range(size)] for t in range(size)]
