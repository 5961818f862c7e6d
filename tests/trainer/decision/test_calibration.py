"""Calibration finds what distorted the logits, and stays finite where the classes separate."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.interpretation import calibrated
from trainer.config.options import Calibrations, Options
from trainer.data.dataset import Split
from trainer.decision.calibration import fit_calibration
from trainer.decision.decision import decide
from trainer.evaluation.metrics import expected_calibration_error


def drawn(count: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """True logits, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.5, 2.0, count)
    return logits, (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(np.int64)


def test_finds_temperature_and_bias() -> None:
    logits, labels = drawn(20_000)
    found = fit_calibration((logits - 0.7) * 3, labels)
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.bias == pytest.approx(0.7, abs=0.07)


def test_lowers_the_calibration_error_on_other_images() -> None:
    logits, labels = drawn(4000)
    found = fit_calibration(logits[:2000] * 4 - 1, labels[:2000])
    before = expected_calibration_error(1 / (1 + np.exp(1 - logits[2000:] * 4)), labels[2000:])
    after = expected_calibration_error(calibrated(logits[2000:] * 4 - 1, found), labels[2000:])
    assert before > 0.08
    assert after < 0.03


def test_another_prevalence_moves_the_bias_by_the_odds() -> None:
    logits, labels = drawn(20_000)
    share = labels.mean()
    found = fit_calibration(logits, labels, prevalence=0.2)
    moved = np.log(0.2 / 0.8) - np.log(share / (1 - share))
    assert found.bias == pytest.approx(moved, abs=0.15)


def test_temperature_alone_keeps_the_order_and_the_middle() -> None:
    logits, labels = drawn(2000)
    found = fit_calibration(logits * 2, labels, "temperature")
    assert found.bias == 0
    assert calibrated(np.array([0.0]), found)[0] == 0.5


def test_temperature_alone_moves_by_the_odds_of_the_prevalence() -> None:
    logits, labels = drawn(20_000)
    even = fit_calibration(logits * 2, labels, "temperature", prevalence=0.5)
    assert even.bias == 0
    assert even.temperature == pytest.approx(2, rel=0.1)
    rare = fit_calibration(logits * 2, labels, "temperature", prevalence=0.1)
    assert calibrated(np.array([0.0]), rare)[0] == pytest.approx(0.1)


def test_the_option_prevalence_moves_the_answers_of_every_calibration() -> None:
    logits, labels = drawn(4000)
    names = [str(i) for i in range(len(labels))]
    split = Split(np.zeros((len(labels), 1, 1), np.uint8), labels, labels - 1, names, names)
    columns = logits[:, None].astype(np.float32)
    kinds: tuple[Calibrations, ...] = ("temperature", "temperature+bias")
    for kind in kinds:
        bias = [
            decide(
                columns, ("pneumonia",), split, Options(calibration=kind, prevalence=share)
            ).calibration.bias
            for share in (0.1, 0.5, float(labels.mean()), 0)
        ]
        assert bias[1] - bias[0] == pytest.approx(np.log(9), abs=0.5), kind
        assert bias[2] == bias[3]
        assert (bias[1] == 0) == (kind == "temperature")


@pytest.mark.parametrize("both", [True, False])
def test_causes_are_told_where_the_images_have_both(both: bool) -> None:
    causes = np.tile([-1, 0, 1 if both else 0], 20)
    names = [str(i) for i in range(60)]
    blank = np.zeros((60, 1, 1), np.uint8)
    split = Split(blank, (causes >= 0).astype(np.int64), causes, names, names)
    logits = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    found = decide(logits, ("pneumonia", "viral"), split, Options())
    assert (found.cause_calibration is not None) == both


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_separable_classes_stay_finite(scale: float) -> None:
    logits = np.linspace(-1, 1, 40) * scale
    found = fit_calibration(logits, (logits > 0).astype(np.int64))
    assert 0 < found.temperature < np.inf
    p = calibrated(logits, found)
    assert np.isfinite(p).all()
    assert ((p > 0.5) == (logits > 0)).mean() > 0.9


def test_one_class_or_none_wanted_leaves_the_logits_alone() -> None:
    logits, labels = drawn(50)
    for found in (
        fit_calibration(logits, np.ones(50, np.int64)),
        fit_calibration(logits, labels, "none"),
    ):
        assert (found.temperature, found.bias) == (1, 0)
