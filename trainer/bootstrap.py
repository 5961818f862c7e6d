"""Resampling patients: how far a figure may be off because other patients could have come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval, `low` <= `high`."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def wilson(hits: int, count: int) -> Interval:
    """A share of independent cases with its 95 % interval (Wilson, JASA 22, 1927).

    Args:
        hits: Cases that count, 0 to `count`.
        count: Cases in all; of none the share is 0 and may be anything.
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    found = binomtest(hits, count).proportion_ci(method="wilson")
    value = hits / count
    return Interval(value, min(float(found.low), value), max(float(found.high), value))


def difference(now: Interval, before: Interval) -> Interval:
    """`now` less `before`, figures of different patients, with its 95 % interval.

    From the intervals of both (Newcombe, Statistics in Medicine 17, 1998, method 10; for any figure
    Zou and Donner, Statistics in Medicine 27, 2008).
    """
    value = now.value - before.value
    down = np.hypot(now.value - now.low, before.high - before.value)
    up = np.hypot(now.high - now.value, before.value - before.low)
    return Interval(value, value - float(down), value + float(up))


def patient_weights(patients: Sequence[str], resamples: int, seed: int) -> Iterator[Weights]:
    """Draw patients with replacement, all images of a patient together.

    The cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    section 3.8; Field and Welsh, JRSS B 69, 2007): images of one patient are alike, so
    resampling single images would make the intervals too narrow.

    Args:
        patients: (N,) who each image is of.
        resamples: How many draws.
        seed: The same seed gives the same draws.

    Yields:
        (N,) float64, how often each image occurs in the draw.
    """
    names, member = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = random.integers(0, len(names), len(names))
        yield np.bincount(drawn, minlength=len(names)).astype(np.float64)[member]


def intervals(
    measure: Callable[[Weights], dict[str, float]],
    patients: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

    Args:
        measure: Takes the weight of each image, (N,), and returns the figures; NaN where a draw
            does not define one.
        patients: (N,) who each image is of.
        resamples: Draws; 1,000 leave about 0.1 standard errors of noise in the limits.
        seed: Of the draws.

    Returns:
        The figures that are defined on the images as they are.
    """
    value = measure(np.ones(len(patients)))
    drawn = [measure(w) for w in patient_weights(patients, resamples, seed)]
    result: dict[str, Interval] = {}
    for name, figure in value.items():
        if np.isnan(figure):
            continue
        known = np.array([d[name] for d in drawn if not np.isnan(d[name])])
        low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (figure, figure)
        result[name] = Interval(figure, min(float(low), figure), max(float(high), figure))
    return result


def mean_interval(
    values: NDArray[np.float64] | NDArray[np.bool_],
    patients: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """The mean of a figure of each image, or the share that has a flag, with its 95 % interval.

    Where all images or none have the flag every draw is alike: there it is Wilson's interval of as
    many patients.

    Args:
        values: (N,) figures or flags.
        patients: (N,) who each image is of.
    """
    if values.dtype == np.bool_ and (values.all() or not values.any()):
        count = len(set(patients))
        return wilson(count * bool(values.any()), count)
    found = intervals(
        lambda w: {"mean": float(np.average(values, weights=w))}, patients, resamples, seed
    )
    return found["mean"]
