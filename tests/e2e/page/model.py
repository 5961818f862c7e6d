"""A bundle for the page's tests, and the X-rays that make it give each kind of answer.

The network is real, small and readable: it looks at one spot of one lung against the same spot of
the other. So a test decides the answer by how dense it draws an opacity there, and each outcome of
the page can be shown.
"""

import io
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from shared.bundle.manifest import Calibration, Draft, Metric, OperatingPoint, Refusal, Unfamiliar
from shared.bundle.store import publish
from tests.phantoms import chest_phantom, not_a_chest_xray

SIZE, CELLS = 224, 14
SPOT = (0.30, 0.38)
"""Where the network looks, as shares of width and height: the upper lung on the left."""

OPACITIES = {"normal": 0.0, "uncertain": 0.42, "pneumonia": 1.0}
"""How dense an opacity gives which outcome."""


def _spot(side: int, centre: tuple[float, float], radius: float) -> NDArray[np.float32]:
    y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
    distance = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    return np.asarray(np.exp(-distance / radius**2), np.float32)


def _network() -> bytes:
    """(N, 224, 224, 1) → logits of pneumonia, viral and chest_xray; activation_map; features."""
    here, there = _spot(CELLS, SPOT, 0.1), _spot(CELLS, (1 - SPOT[0], SPOT[1]), 0.1)
    here, there = here / here.sum(), there / there.sum()
    spine = _spot(CELLS, (0.5, 0.2), 0.05)
    lungs = (here + there) / 2
    columns = [here - there, 0.05 * (here - there), spine / spine.sum() - lungs]
    constants = {
        "flat": np.array([-1, CELLS * CELLS], np.int64),
        "weights": np.stack([26 * column.ravel() for column in columns], axis=1),
        "shift": np.array([-1.5, -1.0, 0.0], np.float32),
        "dark": np.array(0.3, np.float32),
        "attention": (here / here.max()).reshape(1, CELLS, CELLS, 1),
        "brightness": np.full((CELLS * CELLS, 1), 4 / CELLS**2, np.float32),
    }
    side = SIZE // CELLS
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["cells"], kernel_shape=[side, side], strides=[side, side]
        ),
        helper.make_node("Reshape", ["cells", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "shift"], ["logits"]),
        helper.make_node("MatMul", ["row", "brightness"], ["features"]),
        helper.make_node("Transpose", ["cells"], ["grid"], perm=[0, 2, 3, 1]),
        helper.make_node("Sub", ["grid", "dark"], ["dense"]),
        helper.make_node("Mul", ["dense", "attention"], ["activation_map"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", SIZE, SIZE, 1])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
        helper.make_tensor_value_info("activation_map", TensorProto.FLOAT, ["N", CELLS, CELLS, 1]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 1]),
    ]
    tensors = [
        numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()
    ]
    graph = helper.make_graph(nodes, "spot", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def publish_page_model(models: Path, heatmap: bool = True) -> Path:
    """Publishes the bundle, with or without a heatmap, and makes it current."""

    def write(folder: Path) -> Draft:
        (folder / "model.onnx").write_bytes(_network())
        return Draft(
            heads=("pneumonia", "viral", "chest_xray"),
            cause_calibration=Calibration(),
            operating_point=OperatingPoint(threshold=0.41, rule="for tests", low=0.3, high=0.6),
            refusal=Refusal(minimum=2.0, rule="for tests"),
            unfamiliar=Unfamiliar(maximum=2.6, rule="for tests"),
            heatmap=heatmap,
            metrics={
                "recall": Metric(value=0.964, low=0.943, high=0.981),
                "specificity": Metric(value=0.857, low=0.809, high=0.899),
            },
            evaluated_on="test: no images, a model for tests",
        )

    return publish(models, write)


def xray(outcome: str = "normal", size: int = 640, seed: int = 5) -> NDArray[np.uint8]:
    """A chest phantom with an opacity that gives this outcome; (size, size) uint8."""
    grey = chest_phantom(np.random.default_rng(seed), pneumonia=False, size=size).astype(np.float32)
    return _clipped(grey + 110 * OPACITIES[outcome] * _spot(size, SPOT, 0.09))


def unfamiliar_xray(size: int = 640) -> NDArray[np.uint8]:
    """An overexposed chest phantom: brighter than the network knows."""
    return _clipped(xray("normal", size).astype(np.float32) * 0.75 + 90)


def landscape() -> NDArray[np.uint8]:
    """A picture that is no chest X-ray; (H, W, 3) uint8."""
    return not_a_chest_xray(np.random.default_rng(1), "photo", 480)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """The picture as a file's bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _clipped(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(values, 0, 255).astype(np.uint8)
