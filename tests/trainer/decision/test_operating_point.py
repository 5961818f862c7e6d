"""Each rule does what it says, on the images it chose on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.config.options import Options
from trainer.config.threshold_rules import parse_rule
from trainer.decision.operating_point import choose_operating_point


@pytest.fixture(scope="module")
def scored() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    labels = (rng.random(800) < 0.6).astype(np.int64)
    return 1 / (1 + np.exp(-rng.normal(size=800) - 1.4 * (2 * labels - 1))), labels


Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


def rates(scored: Scored, threshold: float) -> tuple[float, float]:
    p, y = scored
    return float((p[y == 1] >= threshold).mean()), float((p[y == 0] < threshold).mean())


def test_sensitivity_is_reached_and_no_more_is_given_away(scored: Scored) -> None:
    found = choose_operating_point(*scored, Options(rule="sensitivity=0.97"), resamples=0)
    assert found.rule == "sensitivity=0.97"
    assert rates(scored, found.threshold)[0] >= 0.97
    above = np.sort(scored[0][scored[0] > found.threshold])
    assert rates(scored, float(above[5]))[0] < 0.97


def test_specificity_is_reached(scored: Scored) -> None:
    found = choose_operating_point(*scored, Options(rule="specificity=0.9"), resamples=0)
    assert rates(scored, found.threshold)[1] >= 0.9
    assert rates(scored, found.threshold - 0.05)[1] < 0.9


def test_balanced_is_the_best_sum(scored: Scored) -> None:
    balanced = choose_operating_point(*scored, Options(rule="balanced"), resamples=0).threshold
    best = max(sum(rates(scored, t)) for t in np.linspace(0.001, 0.999, 999))
    assert sum(rates(scored, balanced)) == pytest.approx(best, abs=0.005)


def test_band_rules_out_below_and_in_above(scored: Scored) -> None:
    p, y = scored
    found = choose_operating_point(p, y, Options(rule="balanced", rule_out=0.99, rule_in=0.98))
    assert found.low < found.threshold < found.high
    assert (p[y == 1] >= found.low).mean() >= 0.99
    assert (p[y == 0] < found.high).mean() >= 0.98


def test_separable_classes_get_the_middle_of_the_gap() -> None:
    p, y = np.array([0.05, 0.1, 0.2, 0.8, 0.9, 0.95]), np.array([0, 0, 0, 1, 1, 1])
    found = choose_operating_point(p, y, Options(rule="balanced"), resamples=0)
    assert found.threshold == pytest.approx(0.5)
    assert found.low <= found.threshold <= found.high


@pytest.mark.parametrize(
    ("probabilities", "thresholds"),
    [((0.1, 0.2, 0.3, 0.4), (0.15, 0.35)), ((0.1, 0.2, 0.3, 0.7), (0.5,))],
)
def test_between_two_best_thresholds_lies_none_that_is_chosen(
    probabilities: tuple[float, ...], thresholds: tuple[float, ...]
) -> None:
    p, y = np.array(probabilities), np.array([0, 1, 0, 1])
    found = choose_operating_point(p, y, Options(rule="balanced"), resamples=0).threshold
    assert sum(rates((p, y), found)) == 1.5
    assert min(abs(found - t) for t in thresholds) < 1e-9


def test_resampling_steadies_and_repeats(scored: Scored) -> None:
    first, again = (choose_operating_point(*scored, Options(rule="balanced")) for _ in range(2))
    assert first == again
    halves = [
        [
            choose_operating_point(
                scored[0][part::2], scored[1][part::2], Options(rule="balanced"), resamples=n
            ).threshold
            for part in (0, 1)
        ]
        for n in (0, 200)
    ]
    assert abs(np.diff(halves[1])[0]) <= abs(np.diff(halves[0])[0]) + 0.02


def test_fixed_threshold_stays(scored: Scored) -> None:
    assert choose_operating_point(*scored, Options(rule="fixed=0.3")).threshold == 0.3


@pytest.mark.parametrize(
    "rule", ["best", "sensitivity=1.2", "sensitivity=high", "balanced=0.5", "fixed=0", "cost=2"]
)
def test_bad_rules_are_explained(rule: str) -> None:
    with pytest.raises(ValueError, match=r"one of the rules|a number|a value"):
        parse_rule(rule)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        choose_operating_point(np.array([0.1, 0.2]), np.array([0, 0]), Options())


def test_a_threshold_has_no_more_digits_than_mean_something(scored: Scored) -> None:
    found = choose_operating_point(*scored, Options(rule="balanced"), resamples=20)
    assert found == found.model_copy(
        update={name: round(getattr(found, name), 4) for name in ("threshold", "low", "high")}
    )
