"""Fitting one network: Adam and binary cross-entropy, from random weights to the last epoch.

What is kept is the running average of the weights, in float32 and in built-in layers; the network
that takes the steps may compute in bfloat16 and with a faster normalisation layer. No image chooses
the epoch, as the best one of a validation folder was a worse one elsewhere.
After each epoch everything that the next one depends on is written to one file, so that a run
killed at any moment goes on from its last whole epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.model.fused_batchnorm import fast_normalisation
from trainer.model.inference import run_keras
from trainer.model.network import build_network, training_view
from trainer.training.averaging import RunningAverage
from trainer.training.batches import Flags, TrainingBatches
from trainer.training.callbacks import Progress, SaveEpoch
from trainer.training.checkpoint import CHECKPOINT, Checkpoint, identity_of
from trainer.training.precision import computes_bfloat16


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
    batches = TrainingBatches(train, recipe, seed, rare)
    compile_learner(learner, recipe, steps=recipe.epochs * len(batches))
    state = Checkpoint(
        learner,
        RunningAverage(learner, recipe.averaging),
        run_dir / CHECKPOINT,
        identity_of(recipe, train, seed, rare),
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
                SaveEpoch(state),
                Progress(recipe.epochs, len(batches), first, progress, label),
            ],
        )
    training_view(shipped).set_weights(state.average.weights)
    return FittedMember(shipped, state.history)


def predict_logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The `logits` output for images of any number.

    Args:
        model: From `build_network`; it may have the further heads of `trainer.model.ood.attach`.
        images: (N, 224, 224) uint8, at least one.

    Returns:
        (N, 2) float32: pneumonia, viral given pneumonia; then a column for each further head.
    """
    [logits] = run_keras(keras.Model(model.input, model.get_layer("logits").output), images)
    return logits


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
    count_from_now(learner)


def count_from_now(model: keras.Model) -> None:
    """Make the variables that a compiled model's losses and metrics count in.

    On TensorFlow, Keras makes them within the first step, which is then traced twice: some seconds.

    Args:
        model: Compiled; each of its outputs is (N, 1).
    """
    answers = [np.zeros((1, 1), np.float32) for _ in model.outputs]
    model.compute_loss(y=answers, y_pred=answers)
    model.compute_metrics(None, answers, answers)
    model.reset_metrics()


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
