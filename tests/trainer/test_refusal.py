"""What must not be judged: the pictures that teach it, the head that knows, the known features."""

import keras
import numpy as np
import pytest
from PIL import Image

from tests.phantoms import NOT_A_CHEST_XRAY, chest_phantom, not_a_chest_xray
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
        network, train, validation, RECIPE, images=240, epochs=16
    )
    outputs = [np.asarray(o) for o in model(validation.images[..., None] / np.float32(255))]
    assert np.allclose(outputs[3][:, :2], before, atol=1e-4)

    # Not those it learned from. With four of four seeds each was refused, and no chest X-ray.
    rng = np.random.default_rng(5)
    for kind in NOT_A_CHEST_XRAY:
        pictures = [Image.fromarray(not_a_chest_xray(rng, kind)) for _ in range(4)]
        drawn = [np.asarray(picture.convert("L")) for picture in pictures]
        chest = np.asarray(model(np.stack(drawn)[..., None] / np.float32(255))[3])[:, 2]
        assert (chest < refusal["minimum"]).mean() > 0.5, kind
    chest = np.asarray(model(split(3, 24).images[..., None] / np.float32(255))[3])[:, 2]
    assert (chest < refusal["minimum"]).mean() < 0.2

    features = np.asarray(model(train.images[..., None] / np.float32(255))[5])
    assert np.abs(features.mean(0)).max() < 0.1
    assert unfamiliar["maximum"] > 0.3
