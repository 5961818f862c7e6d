"""The figures against scikit-learn's and against sums done by hand; what the intervals cover."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from shared.bundle.manifest import OperatingPoint
from shared.interpretation import Answers
from trainer.bootstrap import intervals, patient_weights, wilson
from trainer.config.options import Options
from trainer.evaluation.metrics import Judged, area_under_roc, evaluate, expected_calibration_error

QUICK = Options(resamples=20)


def judge(
    probability: NDArray[np.float64],
    labels: NDArray[np.int64],
    patients: list[str],
    point: tuple[float, float, float],
    viral: NDArray[np.float64] | None = None,
    causes: NDArray[np.int64] | None = None,
) -> Judged:
    """What the rule says at these probabilities: threshold, and start and end of its band."""
    threshold, low, high = point
    answers = Answers(
        probability,
        probability >= threshold,
        viral,
        (probability >= low) & (probability < high),
        None,
        None,
    )
    rule = OperatingPoint(threshold=threshold, rule="", low=low, high=high)
    unknown = np.full(len(labels), -1)
    return Judged(answers, rule, labels, patients, unknown if causes is None else causes)


def make_judged(count: int = 400, seed: int = 0, threshold: float = 0.4) -> Judged:
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.6).astype(np.int64)
    logit = rng.normal(size=count) + 1.5 * (2 * labels - 1)
    probability = np.round(1 / (1 + np.exp(-logit)), 2)  # rounded, so that there are ties
    causes = np.where(labels == 1, rng.integers(-1, 2, count), -1)
    viral = np.clip(
        0.5 + 0.4 * (causes == 1) - 0.3 * (causes == 0) + rng.normal(0, 0.3, count), 0, 1
    )
    patients = [f"p{i // 2}" for i in range(count)]
    return judge(probability, labels, patients, (threshold, 0.2, 0.7), viral, causes)


def test_figures_equal_those_of_scikit_learn() -> None:
    judged = make_judged()
    found = {name: m.value for name, m in evaluate(judged, QUICK).metrics.items()}
    y, p = judged.labels, judged.probability
    called = (p >= 0.4).astype(int)
    viral = judged.answers.viral_share
    assert viral is not None
    known = (y == 0) | (judged.causes >= 0)
    three = np.where(called == 1, np.where(viral >= 0.5, 2, 1), 0)
    truth = np.where(y == 1, judged.causes + 1, 0)
    cause = judged.causes >= 0
    expected = {
        "accuracy": metrics.accuracy_score(y, called),
        "recall": metrics.recall_score(y, called),
        "specificity": metrics.recall_score(y, called, pos_label=0),
        "precision": metrics.precision_score(y, called),
        "f1": metrics.f1_score(y, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, called),
        "roc_auc": metrics.roc_auc_score(y, p),
        "average_precision": metrics.average_precision_score(y, p),
        "brier": metrics.brier_score_loss(y, p),
        "three_class_accuracy": metrics.accuracy_score(truth[known], three[known]),
        "cause_auc": metrics.roc_auc_score(judged.causes[cause], viral[cause]),
        "reviewed": np.mean((p >= 0.2) & (p < 0.7)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_confusion_matrices_have_the_truth_in_rows() -> None:
    judged = judge(
        probability=np.array([0.1, 0.9, 0.9, 0.9, 0.1]),
        labels=np.array([0, 0, 1, 1, 1]),
        patients=list("abcde"),
        point=(0.5, 0.4, 0.6),
        viral=np.array([0.0, 0.9, 0.1, 0.9, 0.9]),
        causes=np.array([-1, -1, 0, 1, -1]),
    )
    found = evaluate(judged, QUICK)
    assert found.confusion == [[1, 1], [1, 2]]
    assert found.confusion_three == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert (found.images, found.patients) == (5, 5)


def test_without_causes_nothing_is_said_of_them() -> None:
    judged = make_judged()
    plain = judge(judged.probability, judged.labels, judged.patients, (0.5, 0.4, 0.6))
    found = evaluate(plain, QUICK)
    assert found.confusion_three is None
    assert "three_class_accuracy" not in found.metrics


def test_calibration_error_by_hand() -> None:
    # Two bins of fifteen: 0.9 is right three times in four, 0.1 never.
    p = np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1])
    y = np.array([1, 1, 1, 0, 0, 0])
    assert expected_calibration_error(p, y) == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([1, 0])) == 0


def test_weighted_area_equals_repeated_images() -> None:
    judged = make_judged(60)
    weight = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    repeated = np.repeat(np.arange(60), weight.astype(int))
    assert area_under_roc(judged.probability, judged.labels, weight) == pytest.approx(
        metrics.roc_auc_score(judged.labels[repeated], judged.probability[repeated])
    )


def test_draws_keep_the_images_of_a_patient_together() -> None:
    patients = ["a", "a", "b", "c", "c", "c"]
    for weight in patient_weights(patients, 50, seed=0):
        assert weight[0] == weight[1]
        assert weight[3] == weight[4] == weight[5]
        assert weight[0] + weight[2] + weight[3] == 3


def test_intervals_of_alike_images_are_wider_than_those_of_single_ones() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(60) < 0.8, 5).astype(float)

    def measure(weight: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, float]:
        return {"accuracy": float((weight * right).sum() / weight.sum())}

    alike = intervals(measure, [f"p{i // 5}" for i in range(300)])["accuracy"]
    single = intervals(measure, [f"p{i}" for i in range(300)])["accuracy"]
    assert alike.value == single.value
    assert alike.high - alike.low > 1.7 * (single.high - single.low)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        right = (rng.random(150) < 0.85).astype(float)
        found = intervals(
            lambda w, right=right: {"x": float((w * right).sum() / w.sum())},  # type: ignore[misc]
            [str(i) for i in range(150)],
            resamples=200,
        )["x"]
        covered += found.low <= 0.85 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_undefined_figures_are_left_out() -> None:
    judged = judge(np.array([0.2, 0.3]), np.array([0, 0]), ["a", "b"], (0.5, 0.4, 0.6))
    found = evaluate(judged, QUICK).metrics
    assert "recall" not in found
    assert "roc_auc" not in found
    assert found["specificity"] == wilson(2, 2)


def test_perfect_figures_are_not_certain() -> None:
    """16 images of 12 patients, all answered rightly; a few more might not be."""
    labels = np.repeat([0, 1], 8)
    patients = [f"{i // 2 if i < 8 else i}" for i in range(16)]
    judged = judge(np.where(labels, 0.9, 0.1), labels, patients, (0.5, 0.4, 0.6))
    found = evaluate(judged, QUICK).metrics
    assert found["accuracy"] == wilson(12, 12)
    assert found["recall"] == wilson(8, 8)
    assert found["roc_auc"] == found["specificity"] == wilson(4, 4)
    assert found["roc_auc"].low == pytest.approx(0.51, abs=0.01)
    assert found["reviewed"] == wilson(0, 12)
