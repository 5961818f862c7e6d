"""Networks in the files that users have: read as they are, or refused with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainer.errors import TrainerError
from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402
from keras import layers  # noqa: E402

from trainer.model.keras_file import load_network, save_h5  # noqa: E402


def sigmoid_network(*inner: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            *inner,
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def nested() -> keras.Model:
    """A network within a network, as transfer learning has it."""
    source = keras.Input((32, 32, 3))
    base = keras.Model(source, layers.Conv2D(4, 3, activation="relu")(source), name="base")
    return sigmoid_network(base)


def as_keras_2(path: Path) -> None:
    """Write down the layers of an .h5 as Keras 2 did, which tf-keras 2.15 to 2.21 still do."""

    def age(node: Any, inner: bool) -> None:
        if isinstance(node, list):
            for each in node:
                age(each, True)
        elif isinstance(node, dict):
            config = node.get("config")
            if isinstance(config, dict):
                name = node.get("class_name", "")
                if name in ("DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"):
                    config["groups"] = 1
                if name == "SeparableConv2D":
                    uniform = {"class_name": "GlorotUniform", "config": {"seed": None}}
                    config |= {"kernel_initializer": uniform, "kernel_regularizer": None}
                if name.startswith("Random"):
                    config["rng_type"] = "stateful"
                if name == "SpatialDropout2D":
                    config["noise_shape"] = None
                outputs = config.get("output_layers")
                if inner and isinstance(outputs, list) and not isinstance(outputs[0], list):
                    config["output_layers"] = [outputs]
            for each in node.values():
                age(each, True)

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        age(config, False)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"


@pytest.mark.parametrize(
    "build",
    [
        nested,
        lambda: sigmoid_network(layers.DepthwiseConv2D(3), layers.BatchNormalization()),
        lambda: sigmoid_network(layers.SeparableConv2D(4, 3)),
        lambda: sigmoid_network(layers.Conv2DTranspose(4, 3)),
        lambda: sigmoid_network(layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)),
        lambda: sigmoid_network(layers.Conv2D(4, 3), layers.SpatialDropout2D(0.1)),
    ],
    ids=["nested", "depthwise", "separable", "transposed", "augmentation", "dropout"],
)
def test_files_of_keras_2_answer_as_they_did(
    build: Callable[[], keras.Model], tmp_path: Path
) -> None:
    model, path = build(), tmp_path / "model.h5"
    model.save(path)
    as_keras_2(path)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r".+"):  # or there would be nothing to put right
        keras.models.load_model(path, compile=False)
    loaded = load_network(path)
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    np.testing.assert_allclose(loaded(images, training=False), model(images, training=False))
    assert path.read_bytes() == before


def test_what_meant_something_to_keras_2_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    sigmoid_network(layers.DepthwiseConv2D(3)).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["groups"] = 3
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.11.0"
    with pytest.raises(TrainerError, match=r"Keras 2.11.0 saved it, and this is Keras 3"):
        load_network(path)


@pytest.mark.parametrize(("kind", "name"), [(".keras", "model.h5"), (".h5", "model.hdf")])
def test_a_file_is_read_by_what_it_is(kind: str, name: str, tmp_path: Path) -> None:
    model = sigmoid_network()
    model.save(tmp_path / f"saved{kind}")
    path = (tmp_path / f"saved{kind}").rename(tmp_path / name)
    assert load_network(path).input_shape == (None, 32, 32, 3)


def weights_alone(folder: Path) -> Path:
    sigmoid_network().save(folder / "whole.h5")
    with h5py.File(folder / "whole.h5", "r+") as file:
        del file.attrs["model_config"]
    return (folder / "whole.h5").rename(folder / "weights.h5")


def pointer(folder: Path) -> Path:
    oid = f"oid sha256:{'0' * 64}"
    path = folder / "model.h5"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\n{oid}\nsize 123\n")
    return path


def with_lambda(folder: Path) -> Path:
    path = folder / "model.h5"
    sigmoid_network(layers.Lambda(lambda x: x * 2)).save(path)
    return path


def cut_off(folder: Path) -> Path:
    path = folder / "model.h5"
    sigmoid_network().save(path)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def text(folder: Path) -> Path:
    path = folder / "model.h5"
    path.write_text("not a network")
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "none.h5", "does not exist"),
        (lambda folder: folder, "is a folder, such as a SavedModel"),
        (text, r"is not a Keras model: it begins with b'not a ne'"),
        (pointer, "is a pointer of Git LFS.*git lfs pull --include model.h5"),
        (weights_alone, "holds no network, but weights at most"),
        (with_lambda, "A Lambda layer is a program"),
        (cut_off, "is cut off or damaged"),
    ],
)
def test_files_that_cannot_be_used_are_told_why(
    make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainerError, match=reason):
        load_network(make(tmp_path))


@pytest.mark.parametrize(
    ("shape", "answers", "reason"),
    [((8,), 1, "expected one input"), ((64, 64, 1), 5, "expected \\(N, 1\\), a sigmoid")],
)
def test_other_shapes_are_refused(
    shape: tuple[int, ...], answers: int, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.h5"
    keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(answers)]).save(path)
    with pytest.raises(TrainerError, match=reason):
        load_network(path)


def test_an_h5_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.h5").mkdir()
    with pytest.raises(OSError):
        save_h5(sigmoid_network(), tmp_path / "model.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]
