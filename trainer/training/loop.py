"""Fitting one network: Adam and binary cross-entropy, from random weights to the last epoch.

What is kept is the running average of the weights, in float32 and in built-in layers; the network
that takes the steps may compute in bfloat16 and with a faster normalisation layer. No image chooses
the epoch, as the best one of a validation folder was a worse one elsewhere.
After each epoch everything that the next one depends on is written to one file, so that a run
killed at any moment goes on from its last whole epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from trainer.config.recipe import Recipe
from trainer.console import duration
from trainer.data.dataset import Split
from trainer.errors import TrainerError
from trainer.model.fused_batchnorm import fast_normalisation
from trainer.model.inference import run_keras
from trainer.model.network import build_network, training_view
from trainer.training.batches import Flags, TrainingBatches
from trainer.training.distillation import Teachers
from trainer.training.precision import computes_bfloat16

Weights = list[NDArray[Any]]
CHECKPOINT = "checkpoint.npz"
_SETTLED, _TIMED = 5, 20  # batches: the first are slow, as the graph is built; the next are timed


class ResumeMismatch(Exception):
    """A checkpoint belongs to another run; the message says what differs and what to do."""


@dataclass(frozen=True)
class FittedMember:
    """A trained network, and how it got there.

    Attributes:
        model: As `trainer.model.network.build_network` returns it, float32, built-in layers only,
            with the averaged weights after the last epoch.
        history: One entry an epoch: `epoch` from 1, `loss`, `accuracy`, `learning_rate` and
            `seconds`. Loss and accuracy are of augmented images with dropout, so they are worse
            than the network is.
    """

    model: keras.Model
    history: list[dict[str, float]]


def fit_member(
    recipe: Recipe,
    train: Split,
    run_dir: Path,
    seed: int,
    teachers: Teachers | None = None,
    rare: Flags | None = None,
    progress: bool = True,
    label: str = "training",
) -> FittedMember:
    """Train one network, or go on with it where `run_dir` holds its checkpoint.

    Args:
        recipe: The knobs; of several sizes the first.
        train: Images to learn from.
        run_dir: Folder of the checkpoint; made if missing.
        seed: Of the weights, the batches and the dropout.
        teachers: What gives the targets in place of the labels; None: nobody.
        rare: (N,) which images of `train` come less often than others; None: none does.
        progress: Show a bar on a terminal, and a line for each epoch.
        label: What the bar calls this run.

    Raises:
        ResumeMismatch: The checkpoint in `run_dir` is of another recipe, seed or training folder.
        TrainerError: The training diverged.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    mixed = recipe.mixed_precision and computes_bfloat16()
    with precision("mixed_bfloat16" if mixed else "float32"):
        learner = training_view(build_network(recipe, fast_normalisation()))
    with precision("float32"):
        shipped = build_network(recipe)
    batches = TrainingBatches(train, recipe, seed, teachers, rare)
    compile_learner(learner, recipe, steps=recipe.epochs * len(batches))
    state = _RunState(
        learner,
        RunningAverage(learner, recipe.averaging),
        run_dir / CHECKPOINT,
        _identity(recipe, train, seed, teachers, rare),
    )
    first = state.resume()
    batches.start_epoch(first)
    if first < recipe.epochs:
        learner.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=first,
            shuffle=False,
            verbose=0,
            callbacks=[
                state.average,
                _Save(state),
                _Progress(recipe.epochs, len(batches), first, progress, label),
            ],
        )
    training_view(shipped).set_weights(state.average.weights)
    return FittedMember(shipped, state.history)


def predict_logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The `logits` output for images of any number.

    Args:
        model: From `build_network`.
        images: (N, 224, 224) uint8, at least one.

    Returns:
        (N, 2) float32: pneumonia, viral given pneumonia.
    """
    [logits] = run_keras(keras.Model(model.input, model.get_layer("logits").output), images)
    return logits


class RunningAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """The running average of a network's weights, updated at each step of its training.

    Attributes:
        weights: The average, in the order of `get_weights`; float32, changed in place.
        steps: How many steps it has seen.
    """

    def __init__(self, learner: keras.Model, decay: float) -> None:
        """Begin with the weights as they are.

        Args:
            learner: The network that is to be trained.
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


class _RunState:
    """Everything that the next epoch depends on, in memory and in one file."""

    def __init__(
        self, learner: keras.Model, average: RunningAverage, path: Path, identity: str
    ) -> None:
        self.learner, self.average, self.path, self.identity = learner, average, path, identity
        self.history: list[dict[str, float]] = []

    def resume(self) -> int:
        """Load the checkpoint if there is one; returns the number of epochs that are done."""
        if not self.path.exists():
            return 0
        with np.load(self.path) as stored:
            note = json.loads(str(stored["note"]))
            if note["identity"] != self.identity:
                raise ResumeMismatch(
                    f"{self.path} belongs to another run: "
                    f"{_difference(note['identity'], self.identity)}. Give the options of that "
                    "run to go on with it, or another folder to start anew."
                )
            for index, variable in enumerate(self._variables()):
                variable.assign(stored[f"variable_{index}"])
            count = len(self.average.weights)
            self.average.weights = [stored[f"average_{i}"] for i in range(count)]
        self.history = note["history"]
        self.average.steps = note["steps"]
        return len(self.history)

    def save(self) -> None:
        """Write the file whole or not at all."""
        arrays = {
            f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())
        }
        arrays |= {f"average_{i}": value for i, value in enumerate(self.average.weights)}
        note = {
            "identity": self.identity,
            "steps": self.average.steps,
            "history": self.history,
        }
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, note=np.array(json.dumps(note)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)

    def _variables(self) -> list[Any]:
        """Weights, the state of the dropout and the state of Adam, in a fixed order."""
        return [*self.learner.variables, *self.learner.optimizer.variables]


class _Save(keras.callbacks.Callback):  # type: ignore[misc]
    """Note and save each epoch at its end."""

    def __init__(self, state: _RunState) -> None:
        super().__init__()
        self.state = state

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
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


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """One bar over all steps on a terminal, and one line an epoch everywhere."""

    def __init__(self, epochs: int, steps: int, done: int, shown: bool, label: str) -> None:
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


def compile_learner(learner: keras.Model, recipe: Recipe, steps: int) -> None:
    """Give a network its loss, Adam with decoupled weight decay, and the schedule of a whole run.

    Args:
        learner: From `training_view`.
        recipe: Learning rate, warm-up, weight decay and the weight of the second head are read.
        steps: Batches of the run, over all epochs.
    """
    warm = max(1, round(steps * recipe.warmup))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm), warmup_target=recipe.learning_rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # A normalisation layer's scale and shift have no reason to be small.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    learner.compile(
        optimizer=optimizer,
        loss=["binary_crossentropy", "binary_crossentropy"],
        loss_weights=[1.0, recipe.cause_weight],
        metrics=[[_accuracy], []],
    )
    optimizer.build(learner.trainable_variables)


def _accuracy(target: Any, predicted: Any) -> Any:
    """Share on the right side of one half; smoothed and mixed targets count by their larger
    part."""
    return keras.ops.mean(keras.ops.cast((target > 0.5) == (predicted > 0.5), "float32"))


_accuracy.__name__ = "accuracy"


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers that are built inside compute by this policy, "float32" or "mixed_bfloat16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _identity(
    recipe: Recipe, train: Split, seed: int, teachers: Teachers | None, rare: Flags | None
) -> str:
    """What must be equal for a checkpoint to be of the same run."""
    names = hashlib.sha256("\n".join(train.paths).encode()).hexdigest()
    return json.dumps(
        {
            "recipe": recipe.to_json(),
            "seed": seed,
            "training images": len(train),
            "digest of their names": names[:12],
            "teachers": teachers.digests if teachers else [],
        }
        | ({} if rare is None else {"rare images": int(rare.sum())}),
        sort_keys=True,
    )


def _difference(theirs: str, ours: str) -> str:
    stored, asked = json.loads(theirs), json.loads(ours)
    stored, asked = (side.pop("recipe") | side for side in (stored, asked))
    changed = [
        f"{name} was {stored.get(name)!r}, is {asked.get(name)!r}"
        for name in asked
        if stored.get(name) != asked[name]
    ]
    return "; ".join(changed) or "an older version of this program wrote it"
