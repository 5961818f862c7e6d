"""Batch normalisation in one kernel, for training with TensorFlow.

Keras computes it in a dozen steps, in float32 and through memory each time; on two cores that is
two fifths of a training step. TensorFlow's fused kernel (Ioffe & Szegedy, ICML 2015, unchanged)
does the same in one. Weights and names are those of `keras.layers.BatchNormalization`, so what is
trained with one loads into the other, and what is shipped holds the built-in layer.
"""

from __future__ import annotations

from typing import Any

import keras

from trainer.model.network import Normalisation


def fast_normalisation() -> Normalisation:
    """The fastest batch normalisation layer that this Keras backend has."""
    if keras.backend.backend() != "tensorflow":
        plain: Normalisation = keras.layers.BatchNormalization
        return plain
    import tensorflow as tf

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not (training and self.trainable):
                return super().call(inputs, training=training, mask=mask)
            output, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=tf.convert_to_tensor(self.gamma),
                offset=tf.convert_to_tensor(self.beta),
                mean=tf.zeros([0]),
                variance=tf.zeros([0]),
                epsilon=self.epsilon,
                is_training=True,
            )
            kept = self.momentum
            self.moving_mean.assign(self.moving_mean * kept + mean * (1 - kept))
            self.moving_variance.assign(self.moving_variance * kept + variance * (1 - kept))
            return output

    return FusedBatchNormalization
