"""The figures of a cell."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from trainer.data.dataset import Split
from trainer.studies.figures import FIGURES, measure_cell


def images(labels: list[int], causes: list[int]) -> Split:
    count = len(labels)
    names = [f"train/{i}" for i in range(count)]
    return Split(
        np.zeros((count, 1, 1), np.uint8), np.array(labels), np.array(causes), names, names
    )


def test_figures_of_ten_normal_images_and_four_pneumonias() -> None:
    labels = [0] * 10 + [1] * 4
    # One normal image lies above two of the pneumonias, one of which is found all the same.
    logits = np.zeros((14, 2), np.float32)
    logits[:, 0] = [*range(-10, -1), 2.5, 1, 3, 2, -1.5]
    logits[10:, 1] = [1, 0, 2, 1.5]
    machines = np.arange(14) >= 12
    found = measure_cell(logits, images(labels, [-1] * 10 + [0, 0, 1, 1]), machines)
    assert set(found) == set(FIGURES)
    assert found["roc_auc"] == pytest.approx((9 + 10 + 9 + 9) / 40)
    assert found["sensitivity"] == 1  # one false alarm in ten
    probability = 1 / (1 + np.exp(-logits[:, 0].astype(float)))
    even = np.where(np.array(labels) == 1, 10, 4)
    assert found["log_loss"] == pytest.approx(
        log_loss(labels, probability, sample_weight=even), abs=1e-5
    )
    # Up to one false alarm: a quarter found before it; scaled from [0.005, 0.1].
    assert found["partial_auc"] == pytest.approx(0.5 * (1 + (0.025 - 0.005) / (0.1 - 0.005)))
    assert found["cause_auc"] == 1
    assert found["machine_sensitivity"] == 0.5
    assert found["machine_logit"] == pytest.approx(0.25)
    assert found["other_logit"] == pytest.approx(2)


def test_what_is_not_defined_is_absent() -> None:
    logits = np.array([[-1, 0], [1, 0], [2, 0]], np.float32)
    found = measure_cell(logits, images([0, 1, 1], [-1, -1, 0]), np.zeros(3, bool))
    assert set(found) == {"roc_auc", "partial_auc", "sensitivity", "log_loss"}
    assert found["roc_auc"] == found["partial_auc"] == found["sensitivity"] == 1
