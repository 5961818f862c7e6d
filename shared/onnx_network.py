"""A bundle's network as ONNX Runtime runs it: a batch of images in, named outputs out.

The service answers by it, and the trainer measures by it what it publishes.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.network import NetworkInvalid, Outputs

_LOGITS, _OTHERS = "logits", ("activation_map", "features")


class OnnxNetwork:
    """An exported network, for batches of any number of images."""

    def __init__(self, graph: Path | bytes, threads: int = 1) -> None:
        """Loads the network.

        Args:
            graph: A bundle's `model.onnx`. ONNX Runtime keeps its content if it is given that, all
                of the weights once more, for as long as the network is.
            threads: Of a pass; 0 for as many as there are cores. The service runs several passes at
                once, each on one core.

        Raises:
            NetworkInvalid: ONNX Runtime does not load it, or it has no output `logits`.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as failure:
            raise NetworkInvalid(f"ONNX Runtime does not load the network: {failure}") from failure
        self._input = self._session.get_inputs()[0].name
        present = {output.name for output in self._session.get_outputs()}
        if _LOGITS not in present:
            raise NetworkInvalid(f"the network has no output {_LOGITS!r}, only {sorted(present)}")
        self._outputs = [_LOGITS, *(name for name in _OTHERS if name in present)]

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Runs one forward pass; safe to call from several threads at once."""
        values = self._session.run(self._outputs, {self._input: batch})
        return Outputs(**dict(zip(self._outputs, values, strict=True)))
