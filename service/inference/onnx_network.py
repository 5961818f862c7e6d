"""The network as ONNX Runtime runs it: a batch of images in, named outputs out."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.network import NetworkInvalid, Outputs

LOGITS, ACTIVATION_MAP, FEATURES = "logits", "activation_map", "features"


class OnnxNetwork:
    """An exported network. One pass runs on one core: the service runs several at once."""

    def __init__(self, graph: Path) -> None:
        """Loads the network.

        Args:
            graph: A bundle's `model.onnx`. ONNX Runtime keeps its content if it is given that, all
                of the weights once more, for as long as the network is.

        Raises:
            NetworkInvalid: ONNX Runtime does not load it, or it has no output `logits`.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as failure:
            raise NetworkInvalid(f"ONNX Runtime does not load the network: {failure}") from failure
        self._input = self._session.get_inputs()[0].name
        present = {output.name for output in self._session.get_outputs()}
        if LOGITS not in present:
            raise NetworkInvalid(f"the network has no output {LOGITS!r}, only {sorted(present)}")
        self._outputs = [name for name in (LOGITS, ACTIVATION_MAP, FEATURES) if name in present]

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Runs one forward pass; safe to call from several threads at once."""
        values = dict(
            zip(self._outputs, self._session.run(self._outputs, {self._input: batch}), strict=True)
        )
        return Outputs(values[LOGITS], values.get(ACTIVATION_MAP), values.get(FEATURES))
