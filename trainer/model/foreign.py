"""A network from elsewhere behind the input and with the answer that this project agrees on."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.labels import NORMAL, PNEUMONIA
from shared.preprocessing import INPUT_SIZE, anti_aliased
from trainer.errors import TrainerError
from trainer.model.inference import run_keras

if TYPE_CHECKING:
    import keras

_SLACK = 1e-3  # of a probability; half precision rounds by less


def as_classifier(
    model: "keras.Model", images: NDArray[np.uint8], positive: str = PNEUMONIA
) -> "keras.Model":
    """The same network, with P(pneumonia) in float32 as its first output.

    Without an activation at the end its numbers are logits; where its last number stands for
    NORMAL they are turned round. Built of Keras' own layers, so that it loads from an .h5.

    Args:
        model: Of the shapes that `load_network` checks. Its last number stands for `positive`.
        images: (N, 224, 224) uint8, to see within which range it answers.
        positive: What it was trained to detect, NORMAL or PNEUMONIA.

    Raises:
        TrainerError: It answers beyond [0, 1], though not with logits; or with no numbers.
    """
    import keras

    answer, count = model.outputs[0], model.outputs[0].shape[-1]
    kind = _activation(model)
    seen = run_keras(keras.Model(*_behind_input(model)), images)[0]
    low, high = float(seen.min()), float(seen.max())
    if not np.isfinite(seen).all():
        raise TrainerError("The network answers with numbers that are not finite.")
    within = low >= -_SLACK and high <= 1 + _SLACK
    if kind == "linear" or (kind is None and not within):
        activation = "sigmoid" if count == 1 else "softmax"
        answer = keras.layers.Activation(activation, dtype="float32", name="probability")(answer)
    elif not within:
        raise TrainerError(
            f"The network answers between {low:.3g} and {high:.3g}, after the activation {kind}: "
            "these are neither probabilities, in [0, 1], nor logits, which have no activation. "
            "Train it with a sigmoid or a softmax at its end."
        )
    elif answer.dtype != "float32":
        # In half precision probabilities near 1 round to 1, and have no logit.
        answer = keras.layers.Activation("linear", dtype="float32", name="probability")(answer)
    if positive == NORMAL and count == 1:
        answer = keras.layers.Rescaling(-1.0, 1.0, dtype="float32", name="pneumonia")(answer)
    elif positive == NORMAL:
        swap = keras.layers.Dense(2, use_bias=False, dtype="float32", name="normal_and_pneumonia")
        answer = swap(answer)
        swap.set_weights([np.array([[0, 1], [1, 0]], np.float32)])
    return model if answer is model.outputs[0] else keras.Model(model.inputs, answer)


def log_odds(model: "keras.Model") -> tuple[Any, Any]:
    """The project's input, and the logit of P(pneumonia) of a network from elsewhere. For the
    export only: as it uses bare operations, it would not load again from an .h5."""
    import keras

    source, answer = _behind_input(model)
    p = keras.ops.clip(keras.ops.cast(answer[..., -1:], "float32"), 1e-7, 1 - 1e-7)
    return source, keras.ops.log(p / (1 - p))


def _behind_input(model: "keras.Model") -> tuple[Any, Any]:
    """The network's first output from (N, 224, 224, 1), resized as `shared.preprocessing` does."""
    import keras

    _, height, width, channels = model.input_shape
    height, width = height or INPUT_SIZE, width or INPUT_SIZE
    source = x = keras.layers.Input((INPUT_SIZE, INPUT_SIZE, 1), name="image")
    if (height, width) != (INPUT_SIZE, INPUT_SIZE):
        rows = keras.ops.matmul(anti_aliased(height).T, x[..., 0])
        x = keras.ops.expand_dims(keras.ops.matmul(rows, anti_aliased(width)), -1)
    if channels == 3:
        x = keras.layers.Concatenate()([x, x, x])
    answer = model(x, training=False)
    return source, answer[0] if isinstance(answer, (list, tuple)) else answer


def _activation(model: "keras.Model") -> str | None:
    """The name of the activation behind the first output; None where its layer has none."""
    import keras

    last: Any = model
    while isinstance(last, keras.Model):
        outputs = getattr(last, "output_names", None)
        last = last.get_layer(outputs[0]) if outputs else last.layers[-1]
    activation = getattr(last, "activation", None)
    return None if activation is None else str(activation.__name__)
