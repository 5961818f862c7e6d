"""A bundle with a real little network, made with the onnx package alone: no TensorFlow, a few
milliseconds.

Its pneumonia logit grows with the brightness of the image's lower half against its upper one, so
that an answer depends on the pixels, and a test can make an image of either label.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from shared.bundle.manifest import Calibration, Draft, Metric, OperatingPoint, Refusal, Unfamiliar
from shared.bundle.store import publish

SIZE, CELLS = 224, 14
HEADS = ("pneumonia", "viral", "chest_xray")
METRICS = {"accuracy": Metric(value=0.9, low=0.85, high=0.94)}


def tiny_network(gain: float = 12.0, not_a_number: bool = False) -> bytes:
    """An ONNX graph with the outputs of a bundle's network.

    Args:
        gain: How steeply the pneumonia logit follows the pixels.
        not_a_number: Whether it answers NaN.

    Returns:
        The serialised graph: image (N, 224, 224, 1) → logits (N, 3), activation_map (N, 14, 14, 1),
        features (N, 4).
    """
    weights = np.zeros((CELLS, CELLS), np.float32)
    weights[: CELLS // 2], weights[CELLS // 2 :] = -gain, gain
    if not_a_number:
        weights[:] = np.nan
    constants = {
        "weights": weights[None, None],
        "mix": np.array([[1.0, 0.5, 0.0]], np.float32),
        "shift": np.array([[0.0, -0.2, 3.0]], np.float32),
        "spread": np.array([[1.0, -0.5, 0.25, 0.1]], np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    side = SIZE // CELLS
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["cells"], kernel_shape=[side, side], strides=[side, side]
        ),
        helper.make_node("Mul", ["cells", "weights"], ["map"]),
        helper.make_node("Transpose", ["map"], ["activation_map"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["map", "axes"], ["score"], keepdims=0),
        helper.make_node("MatMul", ["score", "mix"], ["mixed"]),
        helper.make_node("Add", ["mixed", "shift"], ["logits"]),
        helper.make_node("MatMul", ["score", "spread"], ["features"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", SIZE, SIZE, 1])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(HEADS)]),
        helper.make_tensor_value_info("activation_map", TensorProto.FLOAT, ["N", CELLS, CELLS, 1]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4]),
    ]
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_draft(threshold: float = 0.5, refusal: Refusal | None = None) -> Draft:
    """A manifest for `tiny_network`; nothing is refused as no chest X-ray unless asked for."""
    return Draft(
        heads=HEADS,
        cause_calibration=Calibration(),
        operating_point=OperatingPoint(
            threshold=threshold, rule="chosen for tests", low=threshold - 0.1, high=threshold + 0.1
        ),
        refusal=refusal,
        unfamiliar=Unfamiliar(maximum=50.0, rule="chosen for tests"),
        heatmap=True,
        metrics=METRICS,
        evaluated_on="nothing: a test's model",
    )


def publish_tiny(models: Path, draft: Draft | None = None, network: bytes | None = None) -> Path:
    """Publishes a tiny bundle and makes it current; returns its folder."""

    def write(folder: Path) -> Draft:
        (folder / "model.onnx").write_bytes(tiny_network() if network is None else network)
        (folder / "MODEL_CARD.md").write_text("# A test's model\n", encoding="utf-8")
        return draft or tiny_draft()

    return publish(models, write)


def tilted(top: int, bottom: int, shape: tuple[int, int] = (300, 260)) -> NDArray[np.uint8]:
    """A grey image whose halves differ in brightness: `bottom` above `top` looks like PNEUMONIA."""
    image = np.full(shape, top, np.uint8)
    image[shape[0] // 2 :] = bottom
    return image


def encode(image: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """An image's bytes in one of the formats that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


PNEUMONIA_LIKE = encode(tilted(60, 180))
NORMAL_LIKE = encode(tilted(180, 60))
