"""A bundle's network, as the service and the trainer run it."""

import numpy as np
import onnx
import pytest

from shared.network import NetworkInvalid
from shared.onnx_network import OnnxNetwork
from tests.service.tiny_bundle import tiny_network


def test_a_batch_is_answered_image_by_image() -> None:
    network = OnnxNetwork(tiny_network())
    images = np.zeros((3, 224, 224, 1), np.float32)
    images[1, 112:] = 1
    together = network(images)
    assert together.logits.shape == (3, 3)
    assert together.logits[1, 0] > together.logits[0, 0]
    for position in range(3):
        alone = network(images[position : position + 1])
        np.testing.assert_allclose(alone.logits[0], together.logits[position], rtol=1e-5)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(NetworkInvalid, match="does not load"):
        OnnxNetwork(b"no network")


def test_a_network_without_logits_is_refused() -> None:
    graph = onnx.load_from_string(tiny_network())
    for node in graph.graph.node:
        node.output[:] = ["score_of_it" if name == "logits" else name for name in node.output]
    for output in graph.graph.output:
        output.name = "score_of_it" if output.name == "logits" else output.name
    with pytest.raises(NetworkInvalid, match="no output 'logits'"):
        OnnxNetwork(graph.SerializeToString())
