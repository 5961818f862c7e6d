"""What must not matter is measured as it is, on a network of which we know what it looks at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from shared.bundle.manifest import OperatingPoint
from shared.interpretation import Interpretation
from tests.phantoms import chest_phantom
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.evaluation.counterfactuals import VIEWS, find_counterfactuals, marked
from trainer.evaluation.results import Counterfactual, measure
from trainer.model.inference import predict

RULE = Interpretation(
    ("pneumonia",), OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5)
)
QUICK = Options(resamples=20)


def brightness(path: Path) -> None:
    """A network whose logit is the mean grey level, less one half."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 224, 224, 1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1])
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "half"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "brightness", [image], [logits], [half, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)


@pytest.fixture
def found(tmp_path: Path) -> Callable[[NDArray[np.uint8]], dict[str, Counterfactual]]:
    network = tmp_path / "model.onnx"
    brightness(network)

    def of(images: NDArray[np.uint8]) -> dict[str, Counterfactual]:
        count = len(images)
        split = Split(
            images,
            np.arange(count) % 2,
            np.full(count, -1),
            [f"patient{i}" for i in range(count)],
            [f"{i}.jpeg" for i in range(count)],
        )
        result = measure("test", split, predict(network, images), RULE, QUICK)
        return {each.name: each for each in find_counterfactuals(network, result, RULE, QUICK)}

    return of


def test_a_network_of_brightness_is_found_out(
    found: Callable[[NDArray[np.uint8]], dict[str, Counterfactual]],
) -> None:
    told = found(np.full((6, 224, 224), 120, np.uint8))
    assert told.keys() == VIEWS.keys()
    assert told["brighter"].shift.value == pytest.approx(0.098, abs=0.01)
    assert told["darker"].shift.value == pytest.approx(-0.10, abs=0.01)
    assert told["darker"].size.value == pytest.approx(0.10, abs=0.01)
    assert told["brighter"].changed.value == 1
    assert told["mirrored"].shift.value == 0
    assert told["mirrored"].changed.value == 0


def test_of_many_images_some_are_enough(
    found: Callable[[NDArray[np.uint8]], dict[str, Counterfactual]],
) -> None:
    images = np.full((301, 224, 224), 120, np.uint8)
    images[1::2] = 0  # every second one is looked at
    assert found(images)["mirrored"].size.value == 0
    assert found(images)["brighter"].shift.value == pytest.approx(0.098, abs=0.01)


def test_marks_leave_the_lungs_alone() -> None:
    image = chest_phantom(np.random.default_rng(0), False)
    changed = marked(image) != image
    assert changed[:60, :80].any()
    assert changed[180:, 150:].any()
    assert changed.mean() < 0.03
    assert not changed[60:180].any()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_changes_a_copy_and_keeps_the_shape(name: str) -> None:
    image = chest_phantom(np.random.default_rng(0), True)
    before = image.copy()
    view = VIEWS[name](image)
    assert view.shape == image.shape
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    assert (view != before).any()
