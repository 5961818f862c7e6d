"""From the Keras network to the ONNX graph that is served, checked equal before it is used."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.manifest import CHEST_XRAY_HEAD, PNEUMONIA_HEAD, VIRAL_HEAD
from shared.preprocessing import INPUT_SIZE, scale
from trainer.errors import TrainerError
from trainer.inference import predict

if TYPE_CHECKING:
    import keras

HEADS = (PNEUMONIA_HEAD, VIRAL_HEAD, CHEST_XRAY_HEAD)
TOLERANCE = 1e-4  # largest difference allowed between .h5 and .onnx, in probability
_NAMED = ("logits", "activation_map", "features")


class ExportError(TrainerError):
    """The network cannot be exported; the message says what was expected."""


def load_network(path: Path) -> "keras.Model":
    """Load an .h5, ours or one from elsewhere.

    Raises:
        ExportError: Missing, not a Keras model, or its shapes are not ones that are understood.
    """
    import keras

    if not path.is_file():
        raise ExportError(f"{path} does not exist: give the .h5 file of a Keras model.")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras and h5py raise anything here
        raise ExportError(
            f"{path} is not a Keras model that loads ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}). Save it with "
            "model.save('model.h5'), built of Keras' own layers."
        ) from error
    _check_shapes(model, path)
    return model


def heads_of(model: "keras.Model") -> tuple[str, ...]:
    """What the columns of `logits` will mean: `pneumonia`, and `viral`, `chest_xray` if built."""
    if not _is_ours(model):
        return (PNEUMONIA_HEAD,)
    return tuple(name for name in model.output_names if name in HEADS)


def has_output(model: "keras.Model", name: str) -> bool:
    """Whether the network has one of the named outputs `activation_map` and `features`."""
    return name in getattr(model, "output_names", [])


def export_onnx(model: "keras.Model", path: Path) -> None:
    """Write the ONNX graph with its outputs named `logits`, `activation_map`, `features`.

    A network from elsewhere (one sigmoid, or a softmax over NORMAL and PNEUMONIA; HxWx1 or HxWx3
    in [0, 1]) gets a resize and a logit around it, and has the output `logits` alone.

    Args:
        model: As `load_network` or `trainer.network` give it.
        path: The file to write.

    Raises:
        ExportError: The conversion failed.
    """
    served = _named(model) if _is_ours(model) else _adapted(model)
    served(np.zeros((1, INPUT_SIZE, INPUT_SIZE, 1), np.float32))  # the export wants a first call
    try:
        with _quiet():
            served.export(str(path), format="onnx", verbose=False)
    except OSError:
        raise
    except Exception as error:  # the converter raises anything
        raise ExportError(
            f"The network cannot be written as ONNX ({type(error).__name__}: {error}). It must "
            "consist of Keras' own layers; layers that draw at random must not be among them."
        ) from error


def check_equal(model: "keras.Model", path: Path, images: NDArray[np.uint8]) -> float:
    """Compare the P(pneumonia) of the .h5 with that of the .onnx.

    Args:
        model: The Keras network.
        path: Its ONNX graph.
        images: (N, 224, 224) uint8 to compare on.

    Returns:
        The largest difference of any head's probability.

    Raises:
        ExportError: It is above 1e-4.
    """
    exported = _sigmoid(predict(path, images).logits)
    served = _named(model) if _is_ours(model) else _adapted(model)
    kept = []
    for start in range(0, len(images), 32):
        outputs = served(scale(images[start : start + 32]), training=False)
        kept.append(np.asarray(_to_numpy(outputs["logits"])))
    difference = float(np.abs(exported - _sigmoid(np.concatenate(kept))).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The exported network answers differently: probabilities differ by up to "
            f"{difference:.2g}, allowed is {TOLERANCE:g}. Nothing was published."
        )
    return difference


def _is_ours(model: "keras.Model") -> bool:
    return has_output(model, "logits") and has_output(model, PNEUMONIA_HEAD)


def _named(model: "keras.Model") -> "keras.Model":
    """The same graph with the served outputs only, by name."""
    import keras

    by_name = dict(zip(model.output_names, model.outputs, strict=True))
    return keras.Model(model.inputs[0], {n: by_name[n] for n in _NAMED if n in by_name})


def _adapted(model: "keras.Model") -> "keras.Model":
    """A network from elsewhere behind our input and output. For the export only: as it uses bare
    operations, it would not load again from an .h5."""
    import keras

    _, height, width, channels = model.input_shape
    source = keras.layers.Input((INPUT_SIZE, INPUT_SIZE, 1), name="image")
    x = source
    if (height, width) not in ((INPUT_SIZE, INPUT_SIZE), (None, None)):
        x = keras.layers.Resizing(height, width)(x)
    if channels == 3:
        x = keras.layers.Concatenate()([x, x, x])
    answer = model(x)
    answer = answer[0] if isinstance(answer, (list, tuple)) else answer
    p = keras.ops.clip(answer[..., -1:], 1e-7, 1 - 1e-7)
    return keras.Model(source, {"logits": keras.ops.log(p / (1 - p))})


def _check_shapes(model: Any, path: Path) -> None:
    inputs, outputs = model.inputs or [], model.outputs or []
    first = tuple(inputs[0].shape) if inputs else ()
    answer = tuple(outputs[0].shape) if outputs else ()
    if len(inputs) != 1 or len(first) != 4 or first[-1] not in (1, 3):
        raise ExportError(
            f"{path} takes inputs of shape {first}; expected one input (N, height, width, 1 or 3)."
        )
    if len(answer) != 2 or answer[-1] not in (1, 2):
        raise ExportError(
            f"{path} answers with shape {answer}; expected (N, 1), a sigmoid, or (N, 2), a "
            "softmax over NORMAL and PNEUMONIA."
        )


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(x.astype(np.float64) / 2)))


def _to_numpy(tensor: Any) -> NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's chatter off the terminal."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
