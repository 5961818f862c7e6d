"""Importing Keras: late, because it takes seconds, and without its chatter."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

_AFTER_TRAINING = ("matplotlib", "tensorflow", "tf2onnx", "onnx")


def missing_packages() -> list[str]:
    """Names of the packages that the stages after training import, and that are not there; training
    itself needs TensorFlow only where that is Keras' backend."""
    return [name for name in _AFTER_TRAINING if find_spec(name) is None]


def load_keras() -> None:
    """Import Keras and its backend; what they print on the way is not shown.

    Raises:
        ImportError: The trainer's packages are not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced_stderr():
        import keras

        keras.backend.backend()
        with contextlib.suppress(ImportError):
            import tensorflow  # noqa: F401 - where it is there, Keras on other backends loads it too
    # Keras finds .h5 old-fashioned; this project publishes it on purpose.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # TensorFlow takes networks that are trained one after the other for one that is traced anew.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*HDF5 file.*")
    warnings.filterwarnings("ignore", message="The structure of `inputs` doesn't match")


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere: the backends' C++ parts write there directly."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
