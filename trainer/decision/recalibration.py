"""Calibration and threshold of another hospital for a network that stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from shared.bundle.manifest import PNEUMONIA_HEAD, Calibration, OperatingPoint
from shared.interpretation import Answers, Interpretation
from shared.labels import LABELS
from trainer.bootstrap import Interval, Weights, intervals
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.data.splits import folds
from trainer.decision.decision import decide_pneumonia
from trainer.errors import TrainerError

MINIMUM = 50
"""Images of each class: fewer leave a share such as 0.9 uncertain by more than 0.08 either way."""

RULE: dict[str, str] = {
    "threshold": "probability from which on an image is called PNEUMONIA",
    "temperature": "by which the network's logit is divided",
    "bias": "which is added to it",
    "limit": "the threshold as a logit of the network, whatever the calibration; lower calls more "
    "images PNEUMONIA",
}
"""The numbers of a rule, by name, and what each is."""

_DRAWS = 200  # each fits anew; enough for limits that are read to two digits


@dataclass(frozen=True)
class Recalibrated:
    """A rule that was fitted to a hospital's images.

    Attributes:
        interpretation: The rule, fitted on all of them.
        answers: What rules of the same kind say of each image, each fitted on other patients.
        rule: The numbers of `RULE` with their 95 % intervals.
    """

    interpretation: Interpretation
    answers: Answers
    rule: dict[str, Interval]


def recalibrate(
    logits: NDArray[np.float32],
    features: NDArray[np.float32] | None,
    images: Split,
    kept: Interpretation,
    options: Options,
) -> Recalibrated:
    """Fit calibration and operating point anew; the causes, refusal and familiarity are kept.

    Figures of a rule on the images that it was fitted on flatter it. So each image is answered by a
    rule that was fitted without its patient (cross-fitting: Stone, JRSS B 36, 1974), and the rule
    that is published is fitted on all. Images that are refused get no answer in service: no rule is
    fitted on them.

    Args:
        logits: (N, heads), uncalibrated.
        features: (N, F), whitened; None where the network has none.
        images: The images, N, of both classes, without copies.
        kept: The rule so far.
        options: Kind of calibration, rule of the threshold, parts, and seed.

    Raises:
        TrainerError: Too few images of a class that are not refused, or too few patients.
    """
    refused = kept.answer(logits, features).refused
    answered = np.ones(len(images), bool) if refused is None else ~refused
    _check_enough(images.labels, answered)
    column = logits[:, kept.heads.index(PNEUMONIA_HEAD)]

    def fitted(on: NDArray[np.int64]) -> Interpretation:
        if len(np.unique(images.labels[on])) < 2:
            raise TrainerError(
                "Nearly all images of a class are of one patient, too few to measure on others. "
                "Add images of more patients."
            )
        whose = [images.patients[i] for i in on]
        calibration, point = decide_pneumonia(column[on], images.labels[on], options, whose)
        return replace(kept, calibration=calibration, operating_point=point)

    parts, order = [], []
    for others, held in folds(images, options.folds, options.seed):
        rule = fitted(others[answered[others]])
        parts.append(rule.answer(logits[held], None if features is None else features[held]))
        order.append(held)
    used = np.flatnonzero(answered)
    interpretation = fitted(used)
    return Recalibrated(
        interpretation,
        _in_order(parts, np.argsort(np.concatenate(order))),
        _spread(column[used], images.select(used), interpretation, options),
    )


def rule_numbers(rule: Interpretation) -> dict[str, float]:
    """The numbers of `RULE`."""
    return _numbers(rule.calibration, rule.operating_point)


def _numbers(calibration: Calibration, point: OperatingPoint) -> dict[str, float]:
    return {
        "threshold": point.threshold,
        "temperature": calibration.temperature,
        "bias": calibration.bias,
        "limit": calibration.temperature * (float(logit(point.threshold)) - calibration.bias),
    }


def _check_enough(labels: NDArray[np.int64], answered: NDArray[np.bool_]) -> None:
    counts = [int((answered & (labels == index)).sum()) for index in range(len(LABELS))]
    if min(counts) >= MINIMUM:
        return
    left = int((~answered).sum())
    beside = f" ({left} more are refused as no chest X-rays, and count for none)" if left else ""
    received = " and ".join(f"{count} {name}" for count, name in zip(counts, LABELS, strict=True))
    raise TrainerError(
        f"Received {received}{beside}; recalibrating needs at least {MINIMUM} images of each "
        "class. With fewer, chance moves sensitivity and specificity by more than a new "
        "calibration could mend. Collect more labelled X-rays, then try again; `python -m trainer "
        "evaluate --report` says how good the bundle is on those that there are. Nothing was "
        "published."
    )


def _in_order(parts: Sequence[Answers], order: NDArray[np.int64]) -> Answers:
    """The answers of the parts as those of one set."""
    columns: dict[str, Any] = {}
    for item in fields(Answers):
        values = [getattr(part, item.name) for part in parts]
        columns[item.name] = None if values[0] is None else np.concatenate(values)[order]
    return Answers(**columns)


def _spread(
    column: NDArray[np.float32], images: Split, rule: Interpretation, options: Options
) -> dict[str, Interval]:
    """How far the numbers of the rule may be off, from fitting it to resampled patients.

    The threshold of each draw is not steadied as the published one is, so its interval is rather
    too wide than too narrow.
    """

    def measure(weight: Weights) -> dict[str, float]:
        drawn = np.repeat(np.arange(len(images)), weight.astype(np.int64))
        labels = images.labels[drawn]
        if len(np.unique(labels)) < 2:
            return dict.fromkeys(RULE, float("nan"))
        return _numbers(*decide_pneumonia(column[drawn], labels, options, resamples=0))

    drawn = intervals(measure, images.patients, min(_DRAWS, options.resamples), options.seed)
    return {
        name: Interval(value, min(drawn[name].low, value), max(drawn[name].high, value))
        for name, value in rule_numbers(rule).items()
    }
