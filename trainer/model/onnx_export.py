"""From the Keras network to the ONNX graph that is served, checked equal before it is used."""

import contextlib
import io
import logging
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import (
    CHEST_XRAY_HEAD,
    FAMILIAR_HEAD,
    PNEUMONIA_HEAD,
    VIRAL_HEAD,
    Calibration,
)
from shared.interpretation import calibrated
from shared.network import NetworkInvalid, warm_up
from shared.onnx_network import OnnxNetwork
from shared.preprocessing import INPUT_SIZE
from trainer.errors import TrainerError
from trainer.model.backend import load_keras
from trainer.model.foreign import log_odds
from trainer.model.inference import predict, run_keras
from trainer.model.keras_file import load_network, save_h5

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]

# The largest differences allowed between .h5 and .onnx: of the logits in probability, of the others
# as shares of their largest magnitude, as maps are drawn and distances compared with a limit.
TOLERANCES = {"logits": 1e-4, "activation_map": 1e-3, "features": 1e-3}
_SERVED = tuple(TOLERANCES)
# The outputs of our own networks, in order, by how many there are (see trainer.model.network).
_LAYOUTS = {
    4: (PNEUMONIA_HEAD, VIRAL_HEAD, "logits", "activation_map"),
    6: (PNEUMONIA_HEAD, VIRAL_HEAD, CHEST_XRAY_HEAD, "logits", "activation_map", "features"),
}
# What the columns of their logits mean, as far as they go.
_HEADS = (PNEUMONIA_HEAD, VIRAL_HEAD, CHEST_XRAY_HEAD, FAMILIAR_HEAD)


def named_outputs(model: "keras.Model") -> dict[str, Any]:
    """The outputs of one of our own networks by name; empty for a network from elsewhere."""
    outputs = list(model.outputs)
    found = dict(zip(_LAYOUTS.get(len(outputs), ()), outputs, strict=False))
    if not found or len(found["logits"].shape) != 2 or len(found["activation_map"].shape) != 4:
        return {}
    return found


def heads_of(model: "keras.Model") -> tuple[str, ...]:
    """What the columns of `logits` will mean: `pneumonia`, and, if built, the others."""
    outputs = named_outputs(model)
    return _HEADS[: outputs["logits"].shape[-1]] if outputs else (PNEUMONIA_HEAD,)


def export_onnx(model: "keras.Model", path: Path) -> None:
    """Write the ONNX graph with its outputs named `logits`, `activation_map`, `features`.

    A network from elsewhere (one sigmoid, or a softmax over NORMAL and PNEUMONIA; HxWx1 or HxWx3
    in [0, 1]) gets a resize and a logit around it, and has the output `logits` alone.

    Args:
        model: As `trainer.model.network` or `trainer.model.foreign` give it.

    Raises:
        TrainerError: The conversion failed.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        _export_elsewhere(model, path)
        return
    served = keras.Model(*_served(model))
    served(np.zeros((1, INPUT_SIZE, INPUT_SIZE, 1), np.float32))  # the export wants a first call
    try:
        with _quiet():
            served.export(str(path), format="onnx", verbose=False)
            _split_means(path)
            OnnxNetwork(path)
    except OSError:
        raise
    except Exception as error:  # the converter raises anything
        raise TrainerError(
            f"The network cannot be written as ONNX ({type(error).__name__}: {error}). It must "
            "consist of Keras' own layers; layers that draw at random must not be among them."
        ) from error


def check_equal(model: "keras.Model", path: Path, images: NDArray[np.uint8]) -> float:
    """Take the .onnx up as the service does, and compare all that it answers with what Keras does.

    Args:
        images: (N, 224, 224) uint8 to compare on.

    Returns:
        The largest difference of any head's probability.

    Raises:
        TrainerError: The service would refuse the graph, an output of it is missing, or differs by
            more than `TOLERANCES`.
    """
    import keras

    try:
        warm_up(OnnxNetwork(path), len(heads_of(model)), bool(named_outputs(model)))
    except NetworkInvalid as error:
        raise TrainerError(
            f"The service would refuse the exported network: {error}. Nothing was published."
        ) from error
    source, outputs = _served(model)
    expected = run_keras(keras.Model(source, list(outputs.values())), images)
    exported = predict(path, images, maps=True)
    apart = {
        name: _difference(name, values, getattr(exported, name))
        for name, values in zip(outputs, expected, strict=True)
    }
    for name, difference in apart.items():
        if not difference <= TOLERANCES[name]:  # which NaN is not either
            unit = "probabilities" if name == "logits" else f"shares of the largest {name}"
            raise TrainerError(
                f"The exported network answers differently: {unit} differ by up to "
                f"{difference:.2g}, allowed is {TOLERANCES[name]:g}. Nothing was published."
            )
    return apart["logits"]


def _difference(name: str, expected: Floats, found: Floats | None) -> float:
    if found is None or found.size != expected.size:
        return float("inf")
    if name == "logits":
        apart = calibrated(found, Calibration()) - calibrated(expected, Calibration())
        return float(np.abs(apart).max())
    largest = max(float(np.abs(expected).max()), 1e-9)
    return float(np.abs(found - expected.reshape(found.shape)).max()) / largest


def _export_elsewhere(model: "keras.Model", path: Path) -> None:
    """Export in a process that runs Keras on TensorFlow: the converters for the other backends
    change the names of the outputs, or want further packages."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        h5 = Path(folder) / "model.h5"
        save_h5(model, h5)
        pool.submit(_export_file, h5, path).result()


def _export_file(h5: Path, path: Path) -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    load_keras()
    export_onnx(load_network(h5), path)


def _served(model: "keras.Model") -> tuple[Any, dict[str, Any]]:
    """The input and, by name, the outputs that are served."""
    outputs = named_outputs(model)
    if not outputs:
        source, logits = log_odds(model)
        return source, {"logits": logits}
    return model.inputs[0], {n: outputs[n] for n in _SERVED if n in outputs}


def _split_means(path: Path) -> None:
    """Take means over several axes one axis at a time.

    ONNX Runtime adds up one value after the other in float32: over the 50,176 pixels of an image
    that is wrong in the fourth digit, over 224 and then 224 in the seventh.
    """
    import onnx

    model = onnx.load(path)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), [])
        keep = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
        if node.op_type != "ReduceMean" or len(axes) < 2 or not keep:
            model.graph.node.append(node)
            continue
        source = node.input[0]
        for axis in axes:
            target = node.output[0] if axis == axes[-1] else f"{node.output[0]}_axis_{axis}"
            model.graph.node.append(
                onnx.helper.make_node("ReduceMean", [source], [target], axes=[axis], keepdims=1)
            )
            source = target
    onnx.save(model, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's chatter off the terminal."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
