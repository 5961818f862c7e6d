"""A bare `.h5` from elsewhere: served through Keras where TensorFlow is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from service.inference.keras_network import KerasNetwork, load_keras_model
from service.inference.model_watcher import Engine
from service.inference.onnx_network import NetworkInvalid
from service.runtime.byte_budget import ByteBudget
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import screen
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE

BUDGET = ByteBudget(2**26)


def save(path: Path, channels: int, outputs: int, size: int = 64) -> Path:
    """Saves a model that calls an image pneumonia if its lower half is brighter than its upper."""
    keras = pytest.importorskip("keras")
    inputs = keras.Input((size, size, channels))
    cells = keras.layers.AveragePooling2D((size // 2, size))(inputs)
    flat = keras.layers.Flatten()(cells)
    activation = "sigmoid" if outputs == 1 else "softmax"
    dense = keras.layers.Dense(outputs, activation=activation)
    model = keras.Model(inputs, dense(flat))
    tilt = np.repeat([-4.0, 4.0], channels)[:, None].astype("float32")
    weights = tilt if outputs == 1 else np.hstack([-tilt, tilt])
    if outputs <= 2:
        dense.set_weights([weights, np.zeros(outputs, "float32")])
    model.save(path)
    return path


@pytest.mark.parametrize(("channels", "outputs"), [(1, 1), (3, 1), (3, 2)])
def test_a_foreign_model_is_served_and_says_what_it_lacks(
    tmp_path: Path, channels: int, outputs: int
) -> None:
    model = load_keras_model(save(tmp_path / "foreign.h5", channels, outputs))
    pneumonia, normal = (
        screen(model, image, DecodingMemory(BUDGET)) for image in (PNEUMONIA_LIKE, NORMAL_LIKE)
    )
    assert (pneumonia.label, normal.label) == ("PNEUMONIA", "NORMAL")
    assert pneumonia.threshold == 0.5
    assert pneumonia.causes is None
    assert [code for code, _ in pneumonia.warnings] == ["uncalibrated_model"]


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkInvalid, match="7 numbers"):
        load_keras_model(save(tmp_path / "seven.h5", channels=1, outputs=7))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    (tmp_path / "model.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(NetworkInvalid, match="does not load"):
        KerasNetwork(tmp_path / "model.h5")


def test_a_folder_with_just_an_h5_is_served(tmp_path: Path) -> None:
    save(tmp_path / "foreign.h5", channels=1, outputs=1)
    engine = Engine(tmp_path, default=tmp_path / "default")
    engine.look()
    assert engine.model is not None
    assert engine.model.source.name == "foreign.h5"


def test_without_tensorflow_the_command_that_exports_is_named(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "foreign.h5").write_bytes(b"whatever")
    monkeypatch.setitem(sys.modules, "keras", None)  # as if it were not installed
    default = models / (models / "current").read_text().strip()
    engine = Engine(folder, default=default)
    engine.look()
    assert "python -m trainer export" in (engine.complaint or "")
    assert engine.model is not None
    assert engine.model.source == default
