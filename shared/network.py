"""What a network is to the programs: one forward pass, and what it must cope with to be served.

The trainer tries what it exported by the rule by which the service takes a network up.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.preprocessing import INPUT_SIZE


class NetworkInvalid(ValueError):
    """A network that cannot be served; the message says why."""


@dataclass(frozen=True)
class Outputs:
    """What one forward pass gives.

    Attributes:
        logits: (N, heads) float32.
        activation_map: (N, h, w, 1) float32, the class activation map of the pneumonia logit, or
            None.
        features: (N, F) float32, whitened, or None.
    """

    logits: NDArray[np.float32]
    activation_map: NDArray[np.float32] | None = None
    features: NDArray[np.float32] | None = None


class Network(Protocol):
    """Anything that screens a batch of images, (N, 224, 224, 1) float32 in [0, 1]."""

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Runs one forward pass; safe to call from several threads at once."""
        ...


def warm_up(network: Network, heads: int, heatmap: bool = False) -> None:
    """Runs the network on images it must cope with: black, white and noise.

    Args:
        network: What to try.
        heads: How many logits there must be.
        heatmap: Whether there must be an activation map.

    Raises:
        NetworkInvalid: It fails, answers with another shape, or with anything but finite numbers.
    """
    noise = np.random.default_rng(0).random((1, INPUT_SIZE, INPUT_SIZE, 1), np.float32)
    for batch in (np.zeros_like(noise), np.ones_like(noise), noise):
        try:
            outputs = network(batch)
        except Exception as failure:
            raise NetworkInvalid(f"the network fails on a plain image: {failure}") from failure
        if outputs.logits.shape != (1, heads):
            raise NetworkInvalid(
                f"the network gives {outputs.logits.shape} logits, not (1, {heads})"
            )
        if heatmap and (outputs.activation_map is None or outputs.activation_map.ndim != 4):
            raise NetworkInvalid("the network gives no activation map for the heatmap it promises")
        given = (outputs.logits, outputs.activation_map, outputs.features)
        if not all(np.isfinite(values).all() for values in given if values is not None):
            raise NetworkInvalid(
                "the network answers a plain image with numbers that are not finite"
            )
