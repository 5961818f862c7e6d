"""Batches: balanced, complete, and the same again for the same epoch."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.conftest import PLAIN_VIEWS
from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.training.batches import TrainingBatches

RECIPE = Recipe(batch_size=8, mixup=0, label_smoothing=0.1)


@pytest.fixture
def split() -> Split:
    """10 normal, 30 bacterial and 20 viral images, all black."""
    labels = np.array([0] * 10 + [1] * 50)
    causes = np.array([-1] * 10 + [0] * 30 + [1] * 20)
    images = np.zeros((60, 224, 224), np.uint8)
    return Split(images, labels, causes, [f"p{i}" for i in range(60)], [""] * 60)


def test_half_of_each_batch_is_normal_and_causes_share_the_rest(split: Split) -> None:
    batches = TrainingBatches(split, RECIPE, seed=0)
    for index in range(len(batches)):
        _, (pneumonia, viral), (_, known) = batches[index]
        assert 3 <= (pneumonia < 0.5).sum() <= 5
        assert known.sum() == (pneumonia > 0.5).sum()
        assert 1 <= ((viral[:, 0] > 0.5) & (known > 0)).sum() <= 3


def test_every_normal_image_is_seen_as_often_as_the_others(split: Split) -> None:
    batches = TrainingBatches(split, RECIPE, seed=0)
    seen = np.bincount(batches.order, minlength=60)[:10]
    assert seen.max() - seen.min() <= 1
    assert seen.sum() == pytest.approx(len(batches.order) / 2, abs=2)


def test_an_epoch_repeats_and_the_next_differs(split: Split) -> None:
    first, again = (TrainingBatches(split, RECIPE, seed=4) for _ in range(2))
    assert np.array_equal(first.order, again.order)
    first.on_epoch_end()
    assert not np.array_equal(first.order, again.order)
    again.start_epoch(1)
    assert np.array_equal(first.order, again.order)


def test_targets_are_those_of_the_images_beside_them(split: Split) -> None:
    recipe = replace(RECIPE, label_smoothing=0, **PLAIN_VIEWS)
    greys = np.arange(60, dtype=np.uint8)
    images = np.broadcast_to(4 * greys[:, None, None], (60, 224, 224))
    batches = TrainingBatches(replace(split, images=images), recipe, seed=0)
    for index in range(len(batches)):
        views, (pneumonia, viral), (_, known) = batches[index]
        image = np.round(views.mean(axis=(1, 2, 3)) * 255 / 4).astype(int)
        assert np.array_equal(pneumonia[:, 0], split.labels[image])
        assert np.array_equal(known, split.causes[image] >= 0)
        assert np.array_equal(viral[:, 0], split.causes[image] == 1)


def test_smoothing_moves_targets_and_unknown_causes_weigh_nothing(split: Split) -> None:
    _, (pneumonia, _), (weight, known) = TrainingBatches(split, RECIPE, seed=0)[0]
    assert np.unique(pneumonia) == pytest.approx([0.05, 0.95])
    assert set(np.unique(known)) == {0.0, 1.0}
    assert (weight == 1).all()


def test_rare_images_come_a_quarter_as_often_as_others_of_their_kind(split: Split) -> None:
    rare = np.zeros(60, bool)
    rare[10:30] = True  # of 30 bacterial ones
    seen = np.zeros(60)
    batches = TrainingBatches(split, RECIPE, seed=0, rare=rare)
    for epoch in range(40):
        batches.start_epoch(epoch)
        seen += np.bincount(batches.order, minlength=60)
    assert seen[10:30].mean() / seen[30:40].mean() == pytest.approx(0.25, rel=0.2)
    assert seen[:10].sum() == pytest.approx(seen.sum() / 2, rel=0.05)
    assert seen[40:].sum() == pytest.approx(seen.sum() / 4, rel=0.1)
