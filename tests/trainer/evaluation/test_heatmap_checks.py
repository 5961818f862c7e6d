"""The heatmap of the forward pass is Grad-CAM; its checks measure what they say."""

import numpy as np
import pytest

from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402

from shared.preprocessing import scale  # noqa: E402
from tests.phantoms import chest_phantom  # noqa: E402
from trainer.config.recipe import Recipe  # noqa: E402
from trainer.evaluation.heatmap_checks import (  # noqa: E402
    central_share,
    grown,
    randomised_maps,
    similarity,
)
from trainer.model.network import build_network, combine  # noqa: E402
from trainer.model.onnx_export import named_outputs  # noqa: E402

# Of the size of the input: the map is that of the features, cell by cell.
RECIPE = Recipe(sizes="224", stem=8, widths="8-8-8-8", depth=1, mixed_precision=False)


@pytest.fixture(scope="module")
def images() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    rng = np.random.default_rng(0)
    return np.stack([chest_phantom(rng, i % 2 == 1) for i in range(4)])


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_network(RECIPE)


def grad_cam(
    model: keras.Model, images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Grad-CAM before its ReLU (Selvaraju et al., ICCV 2017, eq. 1 and 2), by gradients."""
    tensorflow = pytest.importorskip("tensorflow")
    view = keras.Model(
        model.inputs[0], [model.get_layer("feature_map").output, named_outputs(model)["logits"]]
    )
    x = scale(images)
    with tensorflow.GradientTape() as tape:
        maps, logits = view(x, training=False)
        gradient = tape.gradient(logits[:, 0], maps)
    weight = tensorflow.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    return np.asarray(tensorflow.reduce_sum(weight * maps, axis=-1))


def test_activation_map_is_grad_cam(
    network: keras.Model, images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
) -> None:
    view = keras.Model(network.inputs[0], named_outputs(network)["activation_map"])
    activation = np.asarray(view(scale(images), training=False))[..., 0]
    gradient = grad_cam(network, images)
    positions = activation[0].size
    assert np.abs(activation).max() > 1e-3
    # The mean over the map's positions is a part of Grad-CAM's weight: the same but for that.
    np.testing.assert_allclose(gradient * positions, activation, rtol=1e-4, atol=1e-5)
    for one, other in zip(activation, gradient, strict=True):
        np.testing.assert_allclose(grown(one, 224), grown(other, 224), atol=1e-4)


def test_mean_of_the_map_is_the_logit(
    network: keras.Model, images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
) -> None:
    outputs = named_outputs(network)
    view = keras.Model(network.inputs[0], [outputs["activation_map"], outputs["logits"]])
    activation, logits = (np.asarray(o) for o in view(scale(images), training=False))
    np.testing.assert_allclose(activation.mean(axis=(1, 2, 3)), logits[:, 0], atol=1e-5)


def test_map_of_an_ensemble_is_the_mean_of_its_members(
    images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]],
) -> None:
    members = [build_network(RECIPE) for _ in range(2)]
    views = [keras.Model(m.inputs[0], named_outputs(m)["activation_map"]) for m in members]
    mean = np.mean([np.asarray(v(scale(images), training=False)) for v in views], axis=0)
    whole = combine(members)
    view = keras.Model(whole.inputs[0], named_outputs(whole)["activation_map"])
    np.testing.assert_allclose(np.asarray(view(scale(images), training=False)), mean, atol=1e-5)


def test_shuffling_destroys_the_maps_and_puts_the_weights_back(
    network: keras.Model, images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
) -> None:
    before = network.get_weights()
    view = keras.Model(network.inputs[0], named_outputs(network)["activation_map"])
    maps = np.asarray(view(scale(images), training=False))[..., 0]
    shuffled = randomised_maps(network, images, seed=0)
    assert shuffled.shape == maps.shape
    assert similarity(maps, maps).min() > 0.999
    assert np.abs(similarity(maps, shuffled)).mean() < 0.8
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_similarity_of_a_flat_map_is_none() -> None:
    random = np.random.default_rng(0).normal(size=(1, 7, 7)).astype(np.float32)
    assert similarity(random, -np.ones((1, 7, 7), np.float32))[0] == 0
    assert similarity(random, random * 2)[0] == pytest.approx(1)


def test_central_share() -> None:
    even = np.ones((1, 7, 7), np.float32)
    middle, corner = np.zeros((2, 1, 7, 7), np.float32)
    middle[0, 3, 3], corner[0, 0, 0] = 1, 1
    assert central_share(even)[0] == pytest.approx(0.64, abs=0.01)
    assert central_share(middle)[0] == 1
    assert central_share(corner)[0] < 0.3
    assert np.isnan(central_share(-even)[0])


def test_a_map_is_grown_to_where_its_cells_lie() -> None:
    one = np.zeros((5, 5), np.float32)  # cells of 48 pixels
    one[2, 3] = 1
    row, column = np.unravel_index(grown(one, 224).argmax(), (224, 224))
    assert row == pytest.approx(2.5 * 48, abs=2)
    assert column == pytest.approx(3.5 * 48, abs=2)
