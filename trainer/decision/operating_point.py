"""Where PNEUMONIA begins, and the band around it in which a person should look again.

Chosen on validation images only. A missed pneumonia costs more than a false alarm, so the rules
can put sensitivity first; the rule is an option of `fit` and is written in the manifest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import OperatingPoint
from trainer.bootstrap import patient_weights
from trainer.config.options import Options
from trainer.config.threshold_rules import parse_rule

_DIGITS = 4  # more would mean nothing, and every answer shows them

Probabilities = NDArray[np.floating]
Labels = NDArray[np.integer]


def choose_operating_point(
    probabilities: Probabilities,
    labels: Labels,
    options: Options,
    patients: list[str] | None = None,
    resamples: int = 200,
) -> OperatingPoint:
    """Choose threshold and uncertain band.

    The threshold is the median of those that the rule picks on bootstrap samples of the
    patients, which steadies it where few images decide (bagging: Breiman 1996). The band is that
    of the two-graph ROC (Greiner, Sohr, Gobel, J. Immunol. Methods 185, 1995): below `low` so few
    pneumonias lie that sensitivity there is `rule_out`, from `high` on specificity is `rule_in`.

    Args:
        probabilities: (N,) calibrated, of validation images.
        labels: (N,) 0 or 1, both present.
        options: The rule, `rule_out` and `rule_in`, and the seed of the bootstrap.
        patients: (N,) who the images are of; None: each its own patient.
        resamples: Bootstrap samples; 0 takes the rule's threshold on the images as they are.

    Raises:
        ValueError: Only one class present.
    """
    name, value = parse_rule(options.rule)
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels)
    if len(np.unique(y)) < 2:
        raise ValueError("choosing an operating point needs images of both classes")
    if name == "fixed" and value is not None:
        threshold = value
    else:
        whose = patients or [str(i) for i in range(len(y))]
        draws = [np.ones(len(y)), *patient_weights(whose, resamples, options.seed)]
        curves = [_curve(p, y, w) for w in draws if w[y == 1].any() and w[y == 0].any()]
        picked = [_pick(name, value, curve) for curve in curves]
        threshold = float(np.median(picked))
    threshold = round(float(np.clip(threshold, 0.001, 0.999)), _DIGITS)
    curve = _curve(p, y, np.ones(len(y)))
    low = _pick("sensitivity", options.rule_out, curve)
    high = _pick("specificity", options.rule_in, curve)
    text = name if value is None else f"{name}={value:g}"
    return OperatingPoint(
        threshold=threshold,
        rule=text,
        low=round(float(np.clip(low, 0.001, threshold)), _DIGITS),
        high=round(float(np.clip(high, threshold, 0.999)), _DIGITS),
    )


@dataclass(frozen=True)
class _Curve:
    """Every way to cut the images in two by a threshold, in ascending order.

    Attributes:
        edges: (K + 1,) 0, the probabilities that occur, 1: cut k is that of the thresholds above
            edge k, up to edge k + 1.
        sensitivity: (K,) of each cut.
        specificity: (K,) of each cut.
    """

    edges: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]


def _curve(p: NDArray[np.float64], y: Labels, weight: NDArray[np.float64]) -> _Curve:
    values, index = np.unique(p[weight > 0], return_inverse=True)
    positive = np.bincount(index, (weight * (y == 1))[weight > 0])
    negative = np.bincount(index, (weight * (y == 0))[weight > 0])
    below_p = np.concatenate([[0.0], np.cumsum(positive)])
    below_n = np.concatenate([[0.0], np.cumsum(negative)])
    return _Curve(
        np.concatenate([[0.0], values, [1.0]]), 1 - below_p / below_p[-1], below_n / below_n[-1]
    )


def _pick(rule: str, value: float | None, curve: _Curve) -> float:
    """The threshold with the widest margin to both sides of the cuts that the rule likes best."""
    if rule == "sensitivity":
        cuts = np.flatnonzero(curve.sensitivity >= (value or 0) - 1e-9)[-1:]
    elif rule == "specificity":
        cuts = np.flatnonzero(curve.specificity >= (value or 0) - 1e-9)[:1]
    else:
        score = curve.sensitivity + curve.specificity
        best = np.flatnonzero(score >= score.max() - 1e-12)
        # Equally good cuts need not be neighbours: between them may lie the worst.
        runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
        cuts = max(runs, key=lambda run: curve.edges[run[-1] + 1] - curve.edges[run[0]])
    return float((curve.edges[cuts[0]] + curve.edges[cuts[-1] + 1]) / 2)
