"""Networks that are trained already teach a new one: what several see, one learns to say.

Knowledge distillation (Hinton et al., 2015) as Beyer et al. do it ("Knowledge distillation: a good
teacher is patient and consistent", CVPR 2022): the teachers look at the very views that the new
network looks at, mixed ones included, so that it learns their answers where they are unsure too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy.special import expit

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD
from shared.bundle.store import Bundle

Floats = NDArray[np.float32]


class Teachers:
    """One or more published networks that answer as one.

    Attributes:
        digests: SHA-256 of each network's `model.onnx`, in the order given.
    """

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        """Load their networks.

        Args:
            bundles: With the heads `pneumonia` and `viral`; at least one.
        """
        self.digests: list[str] = []
        self._networks: list[tuple[onnxruntime.InferenceSession, list[int]]] = []
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # the training step needs the other cores
        for bundle in bundles:
            heads, onnx = bundle.manifest.heads, bundle.file("model.onnx").read_bytes()
            session = onnxruntime.InferenceSession(
                onnx, options, providers=["CPUExecutionProvider"]
            )
            columns = [heads.index(PNEUMONIA_HEAD), heads.index(VIRAL_HEAD)]
            self._networks.append((session, columns))
            self.digests.append(hashlib.sha256(onnx).hexdigest())

    def __call__(self, images: Floats) -> Floats:
        """What they say, as `trainer.model.network.combine` puts members together: the mean of the
        logits, uncalibrated.

        Args:
            images: (N, 224, 224, 1) float32 in [0, 1].

        Returns:
            (N, 2) float32 probabilities: pneumonia, viral given pneumonia.
        """
        logits = [
            session.run(["logits"], {session.get_inputs()[0].name: images})[0][:, columns]
            for session, columns in self._networks
        ]
        return np.asarray(expit(np.mean(logits, axis=0)), np.float32)
