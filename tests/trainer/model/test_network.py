"""The network: its outputs, its size, and the same answers from the fast layers of training."""

import keras
import numpy as np
import pytest

from trainer.config.recipe import Recipe
from trainer.model.fused_batchnorm import fast_normalisation
from trainer.model.network import build_network, combine, members_of, multiply_adds, training_view

SMALL = Recipe(stem=8, widths="8-8-8-8", depth=1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks with the same random weights each time."""
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((4, 224, 224, 1), dtype=np.float32)


def test_outputs_are_probabilities_then_logits_then_the_map(images: np.ndarray) -> None:
    outputs = [np.asarray(o) for o in build_network(SMALL)(images)]
    assert [o.shape for o in outputs] == [(4, 1), (4, 1), (4, 2), (4, 5, 5, 1)]
    pneumonia, viral, logits, activation_map = outputs
    assert np.allclose(pneumonia, 1 / (1 + np.exp(-logits[:, :1])), atol=1e-6)
    assert np.allclose(viral, 1 / (1 + np.exp(-logits[:, 1:])), atol=1e-6)
    assert np.allclose(activation_map.mean((1, 2)), logits[:, :1], atol=1e-5)


def test_brightness_and_contrast_of_the_exposure_do_not_matter(images: np.ndarray) -> None:
    network = build_network(SMALL)
    bright = images * 0.5 + 0.3
    assert np.allclose(network(images)[2], network(bright)[2], rtol=5e-3, atol=2e-3)


def test_the_default_network_keeps_to_its_budget() -> None:
    network = build_network(Recipe())
    assert multiply_adds(network) <= 100e6
    assert network.count_params() * 4 <= 5e6  # bytes


@pytest.mark.parametrize(("stride", "side", "share"), [(3, 5, 0.5), (4, 4, 0.3)])
def test_a_longer_stride_of_the_stem_costs_less(stride: int, side: int, share: float) -> None:
    network = build_network(Recipe(stem_stride=stride))
    assert network.outputs[3].shape == (None, side, side, 1)
    assert multiply_adds(network) < share * multiply_adds(build_network(Recipe(stem_stride=2)))


def test_fast_normalisation_computes_the_same_training_step(images: np.ndarray) -> None:
    plain = training_view(build_network(SMALL))
    fast = training_view(build_network(SMALL, fast_normalisation()))
    fast.set_weights(plain.get_weights())
    for model in (plain, fast):
        keras.utils.set_random_seed(3)
        model.get_layer("dropout").rate = 0
        model.compile(keras.optimizers.SGD(0.1), ["binary_crossentropy"] * 2, jit_compile=False)
        model.train_on_batch(images, [np.ones((4, 1))] * 2)
    for first, second in zip(plain.get_weights(), fast.get_weights(), strict=True):
        assert np.allclose(first, second, atol=2e-3)


def test_an_ensemble_answers_the_mean_of_its_members(images: np.ndarray) -> None:
    members = [build_network(SMALL) for _ in range(2)]
    expected = [np.mean([np.asarray(m(images)[i]) for m in members], axis=0) for i in (2, 3)]
    ensemble = combine(members)
    outputs = [np.asarray(o) for o in ensemble(images)]
    assert len(members_of(ensemble)) == 2
    assert multiply_adds(ensemble) >= 2 * multiply_adds(members[0])
    assert np.allclose(outputs[2], expected[0], atol=1e-5)
    assert np.allclose(outputs[3], expected[1], atol=1e-5)
    assert np.allclose(outputs[0], 1 / (1 + np.exp(-expected[0][:, :1])), atol=1e-5)
