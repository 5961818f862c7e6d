"""Networks that are trained already teach a new one: what several see, one learns to say.

Knowledge distillation (Hinton et al., 2015) as Beyer et al. do it ("Knowledge distillation: a good
teacher is patient and consistent", CVPR 2022): the teachers look at the very views that the new
network looks at, mixed ones included, so that it learns their answers where they are unsure too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD
from shared.bundle.store import Bundle
from shared.network import Network
from shared.onnx_network import OnnxNetwork

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
        self._networks: list[tuple[Network, list[int]]] = []
        for bundle in bundles:
            heads = bundle.manifest.heads
            columns = [heads.index(PNEUMONIA_HEAD), heads.index(VIRAL_HEAD)]
            # The training step needs the other cores.
            self._networks.append((OnnxNetwork(bundle.read("model.onnx")), columns))
            self.digests.append(bundle.manifest.files["model.onnx"])

    def __call__(self, images: Floats) -> Floats:
        """What they say, as `trainer.model.network.combine` puts members together: the mean of the
        logits, uncalibrated.

        Args:
            images: (N, 224, 224, 1) float32 in [0, 1].

        Returns:
            (N, 2) float32 probabilities: pneumonia, viral given pneumonia.
        """
        logits = [network(images).logits[:, columns] for network, columns in self._networks]
        return np.asarray(expit(np.mean(logits, axis=0)), np.float32)
