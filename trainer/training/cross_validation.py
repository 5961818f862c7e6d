"""What networks of the same recipe say of every training image without having learned from it.

The training folder is cut into parts by patient; each part is answered by networks that learned
from the others (Stone, J. Royal Statistical Society B 36, 1974). Calibration and threshold come
from these answers, so that no image need be held out of the network that ships. Images of a machine
that stands for a class are answered by networks that saw none of that machine, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.config.options import Options
from trainer.config.recipe import Recipe
from trainer.data.acquisition import Positions
from trainer.data.preparation import Prepared
from trainer.data.splits import folds
from trainer.training.fold import Floats, answer_fold


@dataclass(frozen=True)
class OutOfFold:
    """The answers to training images that the network did not learn from.

    Attributes:
        logits: (members, N, 2) float32: pneumonia, viral given pneumonia, of every training image.
        machines: (members, M, 2) float32, the same of the M images of a machine that stands for a
            class, by networks that saw no image of it.
    """

    logits: Floats
    machines: Floats


def cross_validate(
    prepared: Prepared,
    recipe: Recipe,
    options: Options,
    folder: Path,
) -> OutOfFold:
    """Train on all parts but one, answer that one, for each; or go on where a run was stopped.

    Args:
        prepared: The data.
        recipe: The knobs.
        options: How many parts, and what becomes of machines that stand for a class.
        folder: Of the run; each part has its folder in it.

    Raises:
        ResumeMismatch: A checkpoint in the folder is of another recipe, seed or training folder.
        TrainerError: A training diverged.
    """
    whole, rare = prepared.splits["train"], prepared.machines
    logits = np.zeros((len(recipe.input_sizes), len(whole), 2), np.float32)

    def answered(train: Positions, held: Positions, label: str) -> Floats:
        """(members, len(held), 2) logits."""
        own = folder / label.lower().replace(" ", "-")
        return answer_fold(
            *(prepared, train, held, recipe, options.machines, own, options.seed, label)
        ).logits

    for index, (train, held) in enumerate(folds(whole, options.folds, options.seed), start=1):
        logits[:, held] = answered(train, held, f"Fold {index}")
    machines = logits[:, rare]
    if rare.any() and options.machines != "leave-out":
        machines = answered(np.flatnonzero(~rare), np.flatnonzero(rare), "Machines")
    return OutOfFold(logits, machines)
