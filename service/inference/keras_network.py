"""A `.h5` from elsewhere, served through Keras where TensorFlow is installed.

Slower than an exported bundle, without heatmap, calibration or refusal; every answer says so.
"""

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.inference.loaded_model import ServedModel
from service.inference.onnx_network import NetworkInvalid, Outputs, warm_up
from shared.bundle.manifest import Manifest, OperatingPoint
from shared.preprocessing import INPUT_SIZE

CAVEAT = (
    "uncalibrated_model",
    "The model comes without calibration, operating point and checks: its threshold is 0.5, it "
    "gives no heatmap, and it does not notice an image that is no chest X-ray.",
)
_TINY = 1e-7


class KerasNetwork:
    """A Keras classifier behind the interface of an exported network."""

    def __init__(self, path: Path) -> None:
        """Loads the model.

        Args:
            path: A file that `keras.models.load_model` reads. Its input is (N, H, W, 1) or (N, H,
                W, 3) in [0, 1]; its first output is P(pneumonia), (N, 1), or a softmax over NORMAL
                and PNEUMONIA, (N, 2).

        Raises:
            NetworkInvalid: TensorFlow is not installed, or the model is of another shape.
        """
        try:
            import keras
            import tensorflow as tf
        except ImportError as missing:
            raise NetworkInvalid(
                f"{path.name} needs TensorFlow, which is not installed here. Where the trainer is "
                f"installed, make a bundle of it: python -m trainer export {path} --models "
                f"{path.parent}"
            ) from missing
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as failure:
            raise NetworkInvalid(f"Keras does not load {path.name}: {failure}") from failure
        shape = model.inputs[0].shape
        if len(model.inputs) != 1 or len(shape) != 4 or shape[3] not in (1, 3):
            raise NetworkInvalid(
                f"{path.name} takes {shape}; accepted is one input of height × width × 1 or 3"
            )
        self._size = (shape[2] or INPUT_SIZE, shape[1] or INPUT_SIZE)
        self._channels = shape[3]
        self._forward: Callable[[Any], Any] = tf.function(
            lambda batch: _first(model(batch, training=False)), reduce_retracing=True
        )
        self._one_at_a_time = threading.Lock()

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Runs one forward pass; safe to call from several threads, which take turns."""
        images = np.stack([self._fit(image[..., 0]) for image in batch])
        with self._one_at_a_time:
            answer = np.asarray(self._forward(images), np.float64).reshape(len(batch), -1)
        if answer.shape[1] not in (1, 2):
            raise NetworkInvalid(
                f"the model gives {answer.shape[1]} numbers an image; accepted are 1 or 2"
            )
        probability = np.clip(answer[:, -1:], _TINY, 1 - _TINY)
        return Outputs(np.log(probability / (1 - probability)).astype(np.float32), None, None)

    def _fit(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._size != (INPUT_SIZE, INPUT_SIZE):
            image = np.asarray(Image.fromarray(image).resize(self._size, Image.Resampling.BILINEAR))
        return np.repeat(image[..., None], self._channels, axis=2)


def _first(answer: Any) -> Any:
    while isinstance(answer, list | tuple | dict):
        answer = next(iter(answer.values())) if isinstance(answer, dict) else answer[0]
    return answer


def load_keras_model(path: Path) -> ServedModel:
    """Loads a bare `.h5`, with a manifest that promises nothing.

    Raises:
        NetworkInvalid: It cannot be served; the message says why and what to do.
    """
    network = KerasNetwork(path)
    warm_up(network, heads=1)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    created = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    manifest = Manifest(
        version=f"{created:%Y-%m-%dT%H%M%SZ}-{sha256[:8]}",
        created=created,
        operating_point=OperatingPoint(threshold=0.5, rule="none given", low=0.5, high=0.5),
        files={path.name: sha256},
    )
    return ServedModel(network, manifest, sha256, path, (CAVEAT,))
