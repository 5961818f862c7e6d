"""The rule that turns a network's numbers into an answer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.bundle.manifest import Calibration, OperatingPoint, Refusal, Unfamiliar
from shared.interpretation import Interpretation, calibrated

POINT = OperatingPoint(threshold=0.556, rule="", low=0.4, high=0.7)
HEADS = ("pneumonia", "viral", "chest_xray")


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def numbers(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def test_calibration_neither_overflows_nor_loses_the_shape() -> None:
    found = calibrated(np.array([[-1e4, 0.0], [2.0, 1e4]]), Calibration(temperature=2.0, bias=-1.0))
    assert found[0, 0] == 0
    assert found[1].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(("probability", "pneumonia"), [(0.5559997, True), (0.5559994, False)])
def test_what_a_caller_sees_is_what_is_compared(probability: float, pneumonia: bool) -> None:
    """0.5559997 is shown as 0.556, and is PNEUMONIA from 0.556 on."""
    rule = Interpretation(("pneumonia",), POINT)
    answers = rule.answer(np.array([[logit(probability)]]))
    assert answers.pneumonia.tolist() == [pneumonia]
    assert answers.probability[0] == round(probability, 6)


def test_images_are_answered_one_by_one_as_together() -> None:
    rule = Interpretation(
        HEADS, POINT, Calibration(temperature=1.3), Calibration(), Refusal(minimum=1.0, rule="")
    )
    logits = np.random.default_rng(0).normal(0, 3, (50, 3)).astype(np.float32)
    together = rule.answer(logits)
    for index in range(50):
        alone = rule.answer(logits[index : index + 1])
        assert alone.probability[0] == together.probability[index]
        assert alone.viral is not None
        assert together.viral is not None
        assert alone.viral[0] == together.viral[index]


def test_causes_share_the_probability_where_the_network_tells_them() -> None:
    rule = Interpretation(HEADS, POINT, cause_calibration=Calibration())
    answers = rule.answer(numbers([1.0, 0.0, 3.0], [-2.0, 4.0, 3.0]))
    assert answers.viral is not None
    assert answers.bacterial is not None
    np.testing.assert_allclose(answers.viral + answers.bacterial, answers.probability, atol=2e-6)
    assert Interpretation(HEADS, POINT).answer(numbers([1.0, 0.0, 3.0])).viral is None
    assert Interpretation(("pneumonia",), POINT).answer(numbers([1.0])).viral is None


def test_the_band_reaches_from_its_start_to_before_its_end() -> None:
    point = OperatingPoint(threshold=0.5, rule="", low=0.5, high=0.731059)
    answers = Interpretation(("pneumonia",), point).answer(numbers([-0.01], [0.0], [0.9], [1.0]))
    assert answers.uncertain.tolist() == [False, True, True, False]


def test_refusal_is_below_the_limit_and_unknown_without_one() -> None:
    strict = Interpretation(HEADS, POINT, refusal=Refusal(minimum=1.0, rule=""))
    refused = strict.answer(numbers([0, 0, 1.0], [0, 0, 0.99])).refused
    assert refused is not None
    assert refused.tolist() == [False, True]
    assert Interpretation(HEADS, POINT).answer(numbers([0, 0, -9.0])).refused is None


def test_distance_from_what_is_known_counts_over_all_features() -> None:
    rule = Interpretation(("pneumonia",), POINT, unfamiliar=Unfamiliar(maximum=2.0, rule=""))
    features = numbers([2.0, -2.0], [0.0, 2.9])
    unfamiliar = rule.answer(numbers([0.0], [0.0]), features).unfamiliar
    assert unfamiliar is not None
    assert unfamiliar.tolist() == [False, True]
    assert rule.answer(numbers([0.0])).unfamiliar is None
