"""What happens between the steps and epochs of a training: saving, and telling how far it is."""

import sys
import time
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from trainer.console import duration
from trainer.errors import TrainerError
from trainer.training.checkpoint import Checkpoint

_SETTLED, _TIMED = 5, 20  # batches: the first are slow, as the graph is built; the next are timed


class SaveEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Note and save each epoch at its end.

    Raises:
        TrainerError: The training diverged.
    """

    def __init__(self, state: Checkpoint) -> None:
        super().__init__()
        self.state = state

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row to the history, for later callbacks too, and write the file."""
        state, logs = self.state, logs if logs is not None else {}
        if not all(np.isfinite(weight).all() for weight in state.average.weights):
            raise TrainerError(
                f"The training diverged in epoch {epoch + 1}: its weights are no numbers any more. "
                "Start a new run with a lower --learning-rate, or with --no-mixed-precision."
            )
        row = {
            "epoch": float(epoch + 1),
            "loss": float(logs["pneumonia_loss"]),
            "accuracy": float(logs["pneumonia_accuracy"]),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": time.monotonic() - self.started,
        }
        logs.update(row)
        state.history.append(row)
        state.save()


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """One bar over all steps on a terminal, and one line an epoch everywhere."""

    def __init__(self, epochs: int, steps: int, done: int, shown: bool, label: str) -> None:
        """Begin with what is done."""
        super().__init__()
        self.epochs, self.shown = epochs, shown
        self.left = (epochs - done) * steps
        self.batches = 0
        self.bar = tqdm(
            total=epochs * steps,
            initial=done * steps,
            desc=label,
            unit="batch",
            disable=None if shown else True,
            leave=False,
            file=sys.stderr,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar, and say once how long it will take."""
        self.bar.update()
        self.batches += 1
        if self.batches == _SETTLED:
            self.since = time.monotonic()
        if self.batches == _SETTLED + _TIMED and self.shown:
            seconds = (time.monotonic() - self.since) / _TIMED * (self.left - self.batches)
            tqdm.write(f"training will take about {duration(seconds)}", file=sys.stderr)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.shown and logs:
            tqdm.write(
                f"epoch {epoch + 1}/{self.epochs}: "
                f"loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.4f}; "
                f"{logs['seconds']:.0f} s",
                file=sys.stderr,
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()
