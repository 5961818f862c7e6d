"""Run a network over many images: exported, as the service runs it over one, or still in Keras."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.network import Network, NetworkInvalid
from shared.network import Outputs as OnePass
from shared.preprocessing import scale

if TYPE_CHECKING:
    import keras

BATCH = 32  # images; about 200 MB at 224 px, more is not faster on a CPU


@dataclass(frozen=True)
class Outputs:
    """What the network says about N images.

    Attributes:
        logits: (N, heads) float32, uncalibrated.
        activation_map: (N, h, w) float32, of the pneumonia logit; None without that output.
        features: (N, F) float32, whitened; None without that output.
    """

    logits: NDArray[np.float32]
    activation_map: NDArray[np.float32] | None = None
    features: NDArray[np.float32] | None = None


def predict(
    onnx_path: Path,
    images: NDArray[np.uint8],
    maps: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Outputs:
    """Run the ONNX graph of a bundle.

    Args:
        onnx_path: `model.onnx`.
        images: (N, 224, 224) uint8.
        maps: Whether to keep the activation maps (they take memory).
        progress: Called with (images done, images in all).
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(onnx_path), options, providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0].name
    has = {output.name for output in session.get_outputs()}
    wanted = ["logits"]
    wanted += ["activation_map"] if maps and "activation_map" in has else []
    wanted += ["features"] if "features" in has else []
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in wanted}
    for start in range(0, len(images), BATCH):
        batch = scale(images[start : start + BATCH])
        for name, value in zip(wanted, session.run(wanted, {source: batch}), strict=True):
            found[name].append(value)
        if progress:
            progress(min(start + BATCH, len(images)), len(images))
    whole = {name: np.concatenate(parts) for name, parts in found.items() if parts}
    return Outputs(
        logits=whole.get("logits", np.zeros((0, 1), np.float32)),
        activation_map=whole["activation_map"][..., 0] if "activation_map" in whole else None,
        features=whole.get("features"),
    )


def served_network(onnx_path: Path) -> Network:
    """An exported graph as the service runs it: an image at a time, on one core.

    Raises:
        NetworkInvalid: ONNX Runtime does not load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            onnx_path, options, providers=["CPUExecutionProvider"]
        )
    except Exception as failure:
        raise NetworkInvalid(f"ONNX Runtime does not load the network: {failure}") from failure
    names = [output.name for output in session.get_outputs()]

    def run(batch: NDArray[np.float32]) -> OnePass:
        found = dict(
            zip(names, session.run(names, {session.get_inputs()[0].name: batch}), strict=True)
        )
        return OnePass(found["logits"], found.get("activation_map"), found.get("features"))

    return run


def run_keras(
    model: "keras.Model", images: NDArray[np.uint8], batch_size: int = 64
) -> list[NDArray[np.float32]]:
    """Every output of a Keras network, in batches.

    Args:
        model: From (N, 224, 224, 1) float32 in [0, 1].
        images: (N, 224, 224) uint8, at least one.
        batch_size: Images a step.

    Returns:
        (N, ...) for each output, in their order.
    """
    import keras

    parts = [
        [
            keras.ops.convert_to_numpy(output)
            for output in keras.tree.flatten(
                model(scale(images[start : start + batch_size]), training=False)
            )
        ]
        for start in range(0, len(images), batch_size)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
