"""A network from elsewhere answers through the bundle as it does by itself, whatever its shape."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.errors import TrainerError
from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.phantoms import chest_phantom  # noqa: E402
from trainer.model.foreign import as_classifier  # noqa: E402
from trainer.model.inference import predict  # noqa: E402
from trainer.model.keras_file import load_network, save_h5  # noqa: E402
from trainer.model.onnx_export import (  # noqa: E402
    check_equal,
    export_onnx,
    heads_of,
    named_outputs,
)

Images = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def images() -> Images:
    rng = np.random.default_rng(0)
    return np.stack([chest_phantom(rng, i % 2 == 1) for i in range(4)])


def foreign(side: int, channels: int, answers: int, activation: str | None) -> keras.Model:
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((side, side, channels)),
            layers.Conv2D(4, 5, strides=4, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(4),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(answers, activation=activation),
        ]
    )


def served(model: keras.Model, images: Images, folder: Path, positive: str = "PNEUMONIA") -> Images:
    """P(pneumonia) as the exported network gives it."""
    given = folder / "given.keras"
    model.save(given)
    network = as_classifier(load_network(given), images, positive)
    save_h5(network, folder / "model.h5")
    export_onnx(load_network(folder / "model.h5"), folder / "model.onnx")
    assert check_equal(network, folder / "model.onnx", images) < 1e-4
    assert heads_of(network) == ("pneumonia",)
    assert named_outputs(network) == {}
    logits = predict(folder / "model.onnx", images).logits[:, 0]
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def directly(model: keras.Model, images: Images) -> Images:
    """What the network says of images that are resized as everybody does it before."""
    _, height, width, channels = model.input_shape
    small = [
        np.asarray(
            Image.fromarray(i).convert("F").resize((width, height), Image.Resampling.BILINEAR)
        )
        for i in images
    ]
    x = np.repeat(np.stack(small)[..., None] / 255, channels, axis=-1)
    return np.asarray(model(x, training=False), np.float64)


@pytest.mark.parametrize(
    ("side", "channels", "answers", "activation", "positive"),
    [
        (224, 1, 1, "sigmoid", "PNEUMONIA"),
        (224, 1, 1, "sigmoid", "NORMAL"),
        (150, 3, 2, "softmax", "PNEUMONIA"),
        (150, 3, 2, "softmax", "NORMAL"),
        (100, 1, 1, "sigmoid", "PNEUMONIA"),
        (64, 3, 1, "sigmoid", "NORMAL"),
        (299, 1, 1, "sigmoid", "PNEUMONIA"),
    ],
)
def test_probabilities_are_served_as_they_are_or_turned_round(
    side: int,
    channels: int,
    answers: int,
    activation: str,
    positive: str,
    images: Images,
    tmp_path: Path,
) -> None:
    model = foreign(side, channels, answers, activation)
    expected = directly(model, images)[:, -1]
    found = served(model, images, tmp_path, positive)
    np.testing.assert_allclose(
        found, expected if positive == "PNEUMONIA" else 1 - expected, atol=1e-3
    )


def test_fine_stripes_are_averaged_before_they_are_left_out(tmp_path: Path) -> None:
    """Every third row is white: without anti-aliasing a third of the size sees black or white."""
    stripes = np.zeros((1, 224, 224), np.uint8)
    stripes[:, ::3] = 255
    model = keras.Sequential(
        [keras.Input((75, 75, 1)), layers.MaxPooling2D(75), layers.Flatten(), layers.Dense(1)]
    )
    model.layers[-1].set_weights([np.ones((1, 1), np.float32), np.zeros(1, np.float32)])
    expected = 1 / (1 + np.exp(-directly(model, stripes)[:, 0]))
    np.testing.assert_allclose(served(model, stripes, tmp_path), expected, atol=1e-3)


@pytest.mark.parametrize("answers", [1, 2])
def test_without_an_activation_numbers_are_logits(
    answers: int, images: Images, tmp_path: Path
) -> None:
    model = foreign(100, 1, answers, None)
    model.layers[-1].set_weights([9 * weight for weight in model.layers[-1].get_weights()])
    logits = directly(model, images)
    assert (np.abs(logits) > 1).any()
    logit = logits[:, -1] - (logits[:, 0] if answers == 2 else 0)
    np.testing.assert_allclose(served(model, images, tmp_path), 1 / (1 + np.exp(-logit)), atol=1e-3)


def test_numbers_that_are_neither_are_refused(images: Images) -> None:
    model = foreign(100, 1, 1, "tanh")
    model.layers[-1].set_weights([-9 * np.abs(w) - 1 for w in model.layers[-1].get_weights()])
    with pytest.raises(TrainerError, match=r"between -1.* after the activation tanh"):
        as_classifier(model, images)


def test_no_numbers_are_refused(images: Images) -> None:
    model = foreign(100, 1, 1, "sigmoid")
    model.layers[-1].set_weights([w * np.nan for w in model.layers[-1].get_weights()])
    with pytest.raises(TrainerError, match="not finite"):
        as_classifier(model, images)


@pytest.fixture
def half_precision() -> Iterator[None]:
    """Layers are built in half precision, as notebooks on a GPU do, until the test ends."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("half_precision")
@pytest.mark.parametrize("positive", ["PNEUMONIA", "NORMAL"])
def test_a_network_in_half_precision_that_is_sure_has_an_answer(
    positive: str, images: Images, tmp_path: Path
) -> None:
    """In half precision its probability is 1, and the logit of that infinite."""
    model = foreign(64, 1, 1, "sigmoid")
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + 60])
    found = served(model, images, tmp_path, positive)
    np.testing.assert_allclose(found, 1.0 if positive == "PNEUMONIA" else 0.0, atol=1e-3)
