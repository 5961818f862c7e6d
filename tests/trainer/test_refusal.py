"""What must not be judged: the pictures that teach it, the head that knows, the known features."""

import keras
import numpy as np
import pytest

from tests.phantoms import chest_phantom
from trainer.dataset import Split
from trainer.negatives import not_chest
from trainer.network import build_network
from trainer.recipe import Recipe
from trainer.refusal import fit_refusal

RECIPE = Recipe(stem=8, widths="8-16-16-16", depth=1)


def split(seed: int, count: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = np.stack([chest_phantom(rng, pneumonia=bool(label)) for label in labels])
    names = [str(i) for i in range(count)]
    return Split(images, labels.astype(np.int64), np.full(count, -1), names, names)


def test_pictures_are_of_many_kinds_and_repeat_for_a_seed() -> None:
    xrays = split(0, 2).images
    first, again = (not_chest(60, xrays, np.random.default_rng(2)) for _ in range(2))
    assert first.shape == (60, 224, 224)
    assert np.array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) > 50
    assert np.std([picture.mean() for picture in first]) > 20


@pytest.mark.slow
def test_the_head_refuses_other_pictures_and_keeps_the_answer_about_pneumonia() -> None:
    keras.utils.set_random_seed(1)
    train, validation = split(1, 48), split(2, 24)
    network = build_network(RECIPE)
    before = np.asarray(network(validation.images[..., None] / np.float32(255))[2])
    model, refusal, unfamiliar = fit_refusal(
        network, train, validation, RECIPE, images=240, epochs=8
    )
    outputs = [np.asarray(o) for o in model(validation.images[..., None] / np.float32(255))]
    assert np.allclose(outputs[3][:, :2], before, atol=1e-4)
    assert (outputs[3][:, 2] < refusal["minimum"]).mean() <= 0.05

    pictures = not_chest(60, train.images, np.random.default_rng(9))
    chest = np.asarray(model(pictures[..., None] / np.float32(255))[3])[:, 2]
    assert np.median(chest) < np.median(outputs[3][:, 2])

    features = np.asarray(model(train.images[..., None] / np.float32(255))[5])
    assert np.abs(features.mean(0)).max() < 0.1
    assert unfamiliar["maximum"] > 0.3
