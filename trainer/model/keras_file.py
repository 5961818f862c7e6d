"""Keras files, ours and those from elsewhere: `.h5` of Keras 3 and of Keras 2, and `.keras`."""

import contextlib
import inspect
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import TrainerError

if TYPE_CHECKING:
    import keras

_HDF5, _ZIP, _LFS = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"version https://git-lfs"
# Keras 2 wrote down settings that Keras 3 has not, and refuses. Each goes only where it has a value
# that says nothing: any other did mean something.
_LEFT_OVER: dict[str, tuple[Any, ...]] = {
    "groups": (1,),
    "noise_shape": (None,),
    "rng_type": (None, "stateful", "stateless", "legacy_stateful"),
}
# Of a separable convolution, which has no kernel of this name; read by training alone besides.
_NEVER_READ = {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}


def load_network(path: Path) -> "keras.Model":
    """Load a Keras file by what is in it, whatever its name ends with.

    Files of Keras 2 are read as well: what differs in how their layers are written down is put
    right in a copy.

    Raises:
        TrainerError: Missing, not a Keras model, or its shapes are not ones that are understood.
    """
    import keras

    kind = _kind(path)
    written_by = _writer(path) if kind == ".h5" else ""
    try:
        with _readable(path, kind, written_by) as file:
            model = keras.models.load_model(file, compile=False)
    except Exception as error:  # Keras and h5py raise anything here
        reason = (
            f"{type(error).__name__}: {(str(error).splitlines() or ['no reason given'])[0]:.200}"
        )
        if "lambda" in str(error).lower():
            remedy = (
                "A Lambda layer is a program of its author's, which is never run here: build the "
                "network without it, of Keras' own layers, copy the weights, and save it again."
            )
        elif written_by.startswith("2."):
            remedy = (
                f"Keras {written_by} saved it, and this is Keras {keras.__version__}. Load it "
                "there, build the same network of layers that Keras 3 has too, copy the weights "
                "with set_weights, and save it again."
            )
        else:
            remedy = (
                f"Save it with model.save('model.h5') of Keras {keras.__version__} or one before, "
                "built of Keras' own layers."
            )
        raise TrainerError(f"{path} does not load ({reason}). {remedy}") from error
    _check_shapes(model, path)
    return model


def save_h5(model: "keras.Model", path: Path) -> None:
    """Write an .h5 whole or not at all.

    Raises:
        OSError: It cannot be written, or the disk is full.
    """
    partial = path.with_name(f".{path.stem}.partial.h5")
    try:
        model.save(partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # h5py tells of a full disk by either
        partial.unlink(missing_ok=True)
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise OSError(f"the network cannot be written: {reason}") from error


def _kind(path: Path) -> str:
    """ ".h5" or ".keras", by the first bytes."""
    if path.is_dir():
        raise TrainerError(
            f"{path} is a folder, such as a SavedModel of TensorFlow; expected a file. Save the "
            "network there with model.save('model.h5')."
        )
    if not path.is_file():
        raise TrainerError(f"{path} does not exist: give the .h5 file of a Keras model.")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(_LFS):
        raise TrainerError(
            f"{path} is a pointer of Git LFS, which stands in place of the network: fetch the file "
            f"itself with `git lfs pull --include {path.name}` where it was cloned."
        )
    for kind, magic in ((".h5", _HDF5), (".keras", _ZIP)):
        if start.startswith(magic):
            return kind
    raise TrainerError(
        f"{path} is not a Keras model: it begins with {start[:8]!r}, as neither .h5 (HDF5) nor "
        ".keras (a ZIP) does. Save the network with model.save('model.h5')."
    )


def _writer(path: Path) -> str:
    """The version of Keras that wrote an .h5, e.g. "2.15.0"; "" where it does not say."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
    except (OSError, RuntimeError, KeyError) as error:
        raise TrainerError(
            f"{path} is not a Keras model that can be read ({error}): it is cut off or damaged. "
            "Copy it again."
        ) from error
    if "model_config" not in attributes:
        raise TrainerError(
            f"{path} holds no network, but weights at most, as model.save_weights writes them. "
            "Build the network where it comes from, load them, and save it with "
            "model.save('model.h5')."
        )
    return str(attributes.get("keras_version", ""))


@contextlib.contextmanager
def _readable(path: Path, kind: str, written_by: str) -> Iterator[Path]:
    """The file under a name that Keras takes, and as Keras 3 writes it down."""
    import h5py

    if not written_by.startswith("2.") and path.suffix == kind:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{kind}"
        if written_by.startswith("2."):
            file.write_bytes(path.read_bytes())
            with h5py.File(file, "r+") as written:
                config = json.loads(written.attrs["model_config"])
                _modernise(config, inner=False)
                written.attrs["model_config"] = json.dumps(config)
        else:
            file.symlink_to(path.resolve())
        yield file


def _modernise(node: Any, inner: bool = True) -> None:
    """Put right, in place, what Keras 2 wrote of layers and of networks within networks."""
    if isinstance(node, list):
        for each in node:
            _modernise(each)
    elif isinstance(node, dict):
        config = node.get("config")
        if "class_name" in node and isinstance(config, dict):
            _forget(node["class_name"], config)
            outputs = config.get("output_layers")
            # A network that is a layer gave its only output as it is, not in a list.
            if inner and isinstance(outputs, list) and len(outputs) == 1:
                config["output_layers"] = outputs[0]
        for each in node.values():
            _modernise(each)


def _forget(class_name: str, config: dict[str, Any]) -> None:
    import keras

    layer = getattr(keras.layers, class_name, None)
    if not inspect.isclass(layer):
        return
    known = set(inspect.signature(layer.__init__).parameters)
    for name in set(config) - known:
        if name in _NEVER_READ or config[name] in _LEFT_OVER.get(name, ()):
            del config[name]


def _check_shapes(model: Any, path: Path) -> None:
    inputs, outputs = model.inputs or [], model.outputs or []
    first = tuple(inputs[0].shape) if inputs else ()
    answer = tuple(outputs[0].shape) if outputs else ()
    if len(inputs) != 1 or len(first) != 4 or first[-1] not in (1, 3):
        raise TrainerError(
            f"{path} takes inputs of shape {first}; expected one input (N, height, width, 1 or 3)."
        )
    if len(answer) != 2 or answer[-1] not in (1, 2):
        raise TrainerError(
            f"{path} answers with shape {answer}; expected (N, 1), a sigmoid, or (N, 2), a "
            "softmax over NORMAL and PNEUMONIA."
        )
