"""The running average of the weights, which is what is published.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[Any]]


class RunningAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """The running average of a network's weights, updated at each step of its training.

    Attributes:
        weights: The average, in the order of `get_weights`; float32, changed in place.
        steps: How many steps it has seen.
    """

    def __init__(self, learner: keras.Model, decay: float) -> None:
        """Begin with the weights as they are.

        Args:
            decay: What a step leaves of the average before it, in [0, 1).
        """
        super().__init__()
        self.weights: Weights = [np.array(weight) for weight in learner.get_weights()]
        self.decay, self.steps = decay, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Take in the weights after one step."""
        self.steps += 1
        # The first steps count fully, or the average would remember the random start.
        kept = min(self.decay, self.steps / (self.steps + 10))
        # On JAX, Keras puts the trained weights into the network when a callback asks for it here.
        for mean, value in zip(self.weights, self.model.get_weights(), strict=True):
            mean += (1 - kept) * (value - mean)  # which leaves what is fixed exactly as it is
