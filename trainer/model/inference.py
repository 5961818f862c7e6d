"""Run a network over many images: exported, as the service runs it over one, or still in Keras."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.network import Outputs
from shared.onnx_network import OnnxNetwork
from shared.preprocessing import scale

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
_KERAS_BATCH = 64
BATCH = 32  # images; about 200 MB at 224 px, more is not faster on a CPU


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
    network = OnnxNetwork(onnx, threads=0)
    parts: list[Outputs] = []
    for start in range(0, len(images), BATCH):
        found = network(scale(images[start : start + BATCH]))
        parts.append(found if maps else replace(found, activation_map=None))
        if progress:
            progress(min(start + BATCH, len(images)), len(images))

    joined: dict[str, Any] = {}
    for item in fields(Outputs):
        values = [getattr(part, item.name) for part in parts]
        joined[item.name] = None if values[0] is None else np.concatenate(values)
    return Outputs(**joined)


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
