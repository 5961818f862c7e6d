"""Run a network over many images: exported, as the service runs it over one, or still in Keras."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.network import Network, NetworkInvalid, Outputs
from shared.preprocessing import scale

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
_KERAS_BATCH = 64
BATCH = 32  # images; about 200 MB at 224 px, more is not faster on a CPU


def open_network(onnx: Path | bytes, threads: int = 0) -> Network:
    """An exported graph as the service runs it, over any number of images at once.

    Args:
        onnx: The file `model.onnx`, or its content.
        threads: Of a pass; 0 for as many as there are cores.

    Raises:
        NetworkInvalid: ONNX Runtime does not load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as failure:
        raise NetworkInvalid(f"ONNX Runtime does not load the network: {failure}") from failure
    [source] = [each.name for each in session.get_inputs()]
    names = [each.name for each in session.get_outputs()]

    def run(batch: Floats) -> Outputs:
        found = dict(zip(names, session.run(names, {source: batch}), strict=True))
        return Outputs(found["logits"], found.get("activation_map"), found.get("features"))

    return run


def predict(
    onnx: Path,
    images: NDArray[np.uint8],
    maps: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Outputs:
    """What the ONNX graph of a bundle says of images.

    Args:
        onnx: `model.onnx`.
        images: (N, 224, 224) uint8, at least one.
        maps: Whether to keep the activation maps (they take memory).
        progress: Called with (images done, images in all).
    """
    network = open_network(onnx)
    parts: list[Outputs] = []
    for start in range(0, len(images), BATCH):
        found = network(scale(images[start : start + BATCH]))
        parts.append(found if maps else replace(found, activation_map=None))
        if progress:
            progress(min(start + BATCH, len(images)), len(images))

    def joined(values: Sequence[Floats | None]) -> Floats | None:
        there = [value for value in values if value is not None]
        return np.concatenate(there) if there else None

    return Outputs(
        np.concatenate([part.logits for part in parts]),
        joined([part.activation_map for part in parts]),
        joined([part.features for part in parts]),
    )


def run_keras(model: "keras.Model", images: NDArray[np.uint8]) -> list[Floats]:
    """Every output of a Keras network, in batches.

    Args:
        model: From (N, 224, 224, 1) float32 in [0, 1].
        images: (N, 224, 224) uint8, at least one.

    Returns:
        (N, ...) for each output, in their order.
    """
    import keras

    parts = [
        [
            keras.ops.convert_to_numpy(output)
            for output in keras.tree.flatten(
                model(scale(images[start : start + _KERAS_BATCH]), training=False)
            )
        ]
        for start in range(0, len(images), _KERAS_BATCH)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
