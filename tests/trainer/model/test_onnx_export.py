"""Any .h5 becomes a graph with the same answers, or is refused with a reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from trainer.errors import TrainerError
from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402
from keras import layers  # noqa: E402

from tests.phantoms import chest_phantom  # noqa: E402
from trainer.config.recipe import Recipe  # noqa: E402
from trainer.model.inference import predict  # noqa: E402
from trainer.model.keras_file import load_network  # noqa: E402
from trainer.model.network import build_network, combine  # noqa: E402
from trainer.model.onnx_export import (  # noqa: E402
    check_equal,
    export_onnx,
    heads_of,
)

RECIPE = Recipe(sizes="64", stem=8, widths="8-8-8-8", depth=1, mixed_precision=False)
Images = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks with the same random weights each time."""
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def images() -> Images:
    rng = np.random.default_rng(0)
    return np.stack([chest_phantom(rng, i % 2 == 1) for i in range(4)])


def saved(model: keras.Model, folder: Path) -> Path:
    path = folder / "model.h5"
    model.save(path)
    return path


@pytest.mark.parametrize("sizes", ["224", "160-96"])
def test_own_network_keeps_its_named_outputs(sizes: str, images: Images, tmp_path: Path) -> None:
    networks = [build_network(member) for member in replace(RECIPE, sizes=sizes).members()]
    h5 = saved(networks[0] if len(networks) == 1 else combine(networks), tmp_path)
    model, path = load_network(h5), tmp_path / "model.onnx"
    export_onnx(model, path)
    assert heads_of(model) == ("pneumonia", "viral")
    assert check_equal(model, path, images) < 1e-4
    outputs = predict(path, images, maps=True)
    assert outputs.logits.shape == (4, 2)
    assert outputs.activation_map is not None
    np.testing.assert_allclose(
        outputs.activation_map.mean(axis=(1, 2)), outputs.logits[:, :1], atol=1e-4
    )
    [source] = onnxruntime.InferenceSession(path).get_inputs()
    assert source.shape[1:] == [224, 224, 1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """A network with all outputs that are served, and its graph; read-only."""
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("whole") / "model.onnx"
    model = with_all_outputs(build_network(RECIPE))
    export_onnx(model, path)
    return model, path


def test_a_changed_graph_is_noticed(
    whole: tuple[keras.Model, Path], images: Images, tmp_path: Path
) -> None:
    model, path = whole[0], tmp_path / "model.onnx"
    graph = onnx.load(whole[1])
    kernel = next(i for i in graph.graph.initializer if len(i.dims) == 4)
    values = onnx.numpy_helper.to_array(kernel) * 1.5
    kernel.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), kernel.name))
    onnx.save(graph, path)
    with pytest.raises(TrainerError, match="answers differently"):
        check_equal(model, path, images)


def with_all_outputs(network: keras.Model) -> keras.Model:
    """A network as `attach` of `trainer.model.ood` leaves it; head and features of any weights."""
    pneumonia, viral, logits, activation_map = network.outputs
    pooled = network.get_layer("pooled").output
    chest = layers.Dense(1, activation="sigmoid")(pooled)
    logits = layers.Concatenate()([logits, chest])
    features = layers.Dense(8)(pooled)
    return keras.Model(network.input, [pneumonia, viral, chest, logits, activation_map, features])


@pytest.mark.parametrize("name", ["logits", "activation_map", "features"])
def test_every_served_output_is_compared(
    name: str, whole: tuple[keras.Model, Path], images: Images, tmp_path: Path
) -> None:
    model, path = whole[0], tmp_path / "model.onnx"
    assert check_equal(model, whole[1], images) < 1e-4
    model_file = onnx.load(whole[1])
    graph = model_file.graph
    [node] = [n for n in graph.node if name in n.output]
    node.output[0] = f"{name}_before"
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1.01), "factor"))
    graph.node.append(onnx.helper.make_node("Mul", [f"{name}_before", "factor"], [name]))
    onnx.save(model_file, path)
    with pytest.raises(TrainerError, match="answers differently"):
        check_equal(model, path, images)
    node.output[0] = name
    del graph.node[-1]
    kept = [output for output in graph.output if output.name != name]
    del graph.output[:]
    graph.output.extend(kept)
    onnx.save(model_file, path)
    if name != "logits":
        with pytest.raises(TrainerError, match=r"differ by up to inf|no activation map"):
            check_equal(model, path, images)


def test_keras_on_another_backend_exports_through_tensorflow(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = build_network(RECIPE), tmp_path / "model.onnx"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.Model, "export", None)  # what fails there, or names outputs anew
    export_onnx(model, path)
    assert check_equal(model, path, images) < 1e-4


def test_means_over_an_image_are_exact(images: Images, tmp_path: Path) -> None:
    """ONNX Runtime adds in float32 one by one: over a whole image at once it would be off."""
    source = keras.Input((224, 224, 1))
    normal = layers.GroupNormalization(1, center=False, scale=False, epsilon=1e-4)(source)
    answer = layers.Dense(1, activation="sigmoid")(layers.Flatten()(normal))
    model, path = keras.Model(source, answer), tmp_path / "model.onnx"
    export_onnx(model, path)
    nodes = [n for n in onnx.load(path).graph.node if n.op_type == "ReduceMean"]
    assert len(nodes) > 2
    assert all(len(a.ints) == 1 for n in nodes for a in n.attribute if a.name == "axes")
    assert check_equal(model, path, images) < 1e-5


def test_a_graph_that_the_service_would_refuse_is_noticed(images: Images, tmp_path: Path) -> None:
    """Not on X-rays, but on a white image its answer is no number."""
    source = keras.Input((224, 224, 1))
    answer = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(source))
    model, path = keras.Model(source, answer), tmp_path / "model.onnx"
    export_onnx(model, path)
    graph = onnx.load(path)
    [node] = [n for n in graph.graph.node if "logits" in n.output]
    node.output[0] = "before"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.999), "limit"))
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(np.inf), "infinite"))
    image = graph.graph.input[0].name
    graph.graph.node.extend(
        [
            onnx.helper.make_node("ReduceMean", [image], ["mean"], keepdims=0),
            onnx.helper.make_node("Greater", ["mean", "limit"], ["white"]),
            onnx.helper.make_node("Where", ["white", "infinite", "before"], ["logits"]),
        ]
    )
    onnx.save(graph, path)
    with pytest.raises(TrainerError, match=r"The service would refuse .* not finite"):
        check_equal(model, path, images)
