"""The network: its outputs, its size, and the same answers from the fast layers of training."""

from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config.recipe import SIZES, Recipe
from trainer.model.fused_batchnorm import fast_normalisation
from trainer.model.network import build_network, combine, members_of, multiply_adds, training_view

SMALL = Recipe(sizes="64", stem=8, widths="8-8-8-8", depth=1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks with the same random weights each time."""
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Of patches, whose contrast is still there when the network makes them smaller."""
    patches = np.random.default_rng(0).random((4, 14, 14, 1), dtype=np.float32)
    return patches.repeat(16, axis=1).repeat(16, axis=2)


def test_outputs_are_probabilities_then_logits_then_the_map(images: np.ndarray) -> None:
    outputs = [np.asarray(o) for o in build_network(SMALL)(images)]
    assert [o.shape for o in outputs] == [(4, 1), (4, 1), (4, 2), (4, 7, 7, 1)]
    pneumonia, viral, logits, activation_map = outputs
    assert np.allclose(pneumonia, 1 / (1 + np.exp(-logits[:, :1])), atol=1e-6)
    assert np.allclose(viral, 1 / (1 + np.exp(-logits[:, 1:])), atol=1e-6)
    assert np.allclose(activation_map.mean((1, 2)), logits[:, :1], atol=1e-5)


def test_brightness_and_contrast_of_the_exposure_do_not_matter(images: np.ndarray) -> None:
    network = build_network(SMALL)
    bright = images * 0.5 + 0.3
    assert np.allclose(network(images)[2], network(bright)[2], rtol=5e-3, atol=2e-3)


def test_the_default_networks_keep_to_their_budget() -> None:
    networks = [build_network(member) for member in Recipe().members()]
    assert multiply_adds(combine(networks)) <= 140e6
    assert networks[0].count_params() * 4 <= 5e6  # bytes


@pytest.mark.parametrize("size", SIZES)
def test_a_network_resizes_by_the_mean_of_what_each_pixel_covers(
    size: int, images: np.ndarray
) -> None:
    """As OpenCV's INTER_AREA, which is fit for the comparison alone: it is not in the graph."""
    network = build_network(replace(SMALL, sizes=str(size)))
    resized = keras.Model(network.input, network.get_layer("exposure").input)(images)
    for found, image in zip(np.asarray(resized)[..., 0], images[..., 0], strict=True):
        expected = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("size", [96, 160, 224])
def test_the_map_is_grad_cam_on_common_cells(size: int, images: np.ndarray) -> None:
    network = build_network(replace(SMALL, sizes=str(size)))
    with tf.GradientTape() as tape:
        view = keras.Model(
            network.input,
            [network.get_layer("feature_map").output, network.get_layer("logits").output],
        )
        features, logits = view(images)
        score = tf.reduce_sum(logits[:, 0])
    cells = size // 32
    weights = tf.reduce_sum(tape.gradient(score, features), axis=(1, 2))
    grad_cam = tf.einsum("nyxc,nc->nyx", features, weights).numpy()
    grown = [m.repeat(7, 0).repeat(7, 1).reshape(7, cells, 7, cells).mean((1, 3)) for m in grad_cam]
    np.testing.assert_allclose(np.asarray(network(images)[3])[..., 0], grown, atol=1e-4)


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
    members = [build_network(member) for member in replace(SMALL, sizes="96-64").members()]
    expected = [np.mean([np.asarray(m(images)[i]) for m in members], axis=0) for i in (2, 3)]
    ensemble = combine(members)
    outputs = [np.asarray(o) for o in ensemble(images)]
    assert len(members_of(ensemble)) == 2
    assert multiply_adds(ensemble) >= sum(map(multiply_adds, members))
    assert np.allclose(outputs[2], expected[0], atol=1e-5)
    assert np.allclose(outputs[3], expected[1], atol=1e-5)
    assert np.allclose(outputs[0], 1 / (1 + np.exp(-expected[0][:, :1])), atol=1e-5)


def test_a_member_whose_map_has_its_own_cells_is_brought_to_those_of_the_others(
    images: np.ndarray,
) -> None:
    """As networks of earlier versions have it: 4 × 4 cells of 128 pixels."""
    older, newer = (build_network(member) for member in replace(SMALL, sizes="128-64").members())
    own = older.get_layer("pneumonia_logit")(older.get_layer("feature_map").output)
    assert own.shape[1:] == (4, 4, 1)
    ensemble = combine([keras.Model(older.input, [*older.outputs[:3], own]), newer])
    logits, activation_map = (np.asarray(o) for o in ensemble(images)[2:])
    assert activation_map.shape == (4, 7, 7, 1)
    maps = [np.asarray(network(images)[3]) for network in (older, newer)]
    assert np.allclose(activation_map, np.mean(maps, axis=0), atol=1e-5)
    assert np.allclose(activation_map.mean((1, 2)), logits[:, :1], atol=1e-5)
