"""What networks of the same recipe say of every training image without having learned from it.

The training folder is cut into parts by patient; each part is answered by networks that learned
from the others (Stone, J. Royal Statistical Society B 36, 1974). Calibration and threshold come
from these answers, so that no image need be held out of the network that ships. Images of a machine
that stands for a class are answered by networks that saw none of that machine, too.
"""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.config.options import Options
from trainer.config.recipe import Recipe
from trainer.data.acquisition import Positions
from trainer.data.dataset import Split
from trainer.data.preparation import Prepared
from trainer.data.splits import folds
from trainer.training.distillation import Teachers
from trainer.training.loop import fit_member, predict_logits

Floats = NDArray[np.float32]
ANSWERS = "answers.npz"


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
    teachers: Teachers | None = None,
) -> OutOfFold:
    """Train on all parts but one, answer that one, for each; or go on where a run was stopped.

    Args:
        prepared: The data.
        recipe: The knobs; the sizes are the option `fold_sizes`, where that is given.
        options: How many parts, and what becomes of machines that stand for a class.
        folder: Of the run; each part has its folder in it.
        teachers: What gives the targets in place of the labels; None: nobody.

    Raises:
        ResumeMismatch: A checkpoint in the folder is of another recipe, seed or training folder.
        TrainerError: A training diverged.
    """
    whole, rare = prepared.splits["train"], prepared.machines
    members = dataclasses.replace(recipe, sizes=options.fold_sizes or recipe.sizes).members()
    logits = np.zeros((len(members), len(whole), 2), np.float32)

    def answered(train: Positions, held: Positions, name: str) -> Floats:
        """(members, len(held), 2) logits."""
        train = train[prepared.learned[train]]
        weighed = rare[train] if options.machines == "weigh" and rare.any() else None
        return np.stack(
            [
                _answers(
                    member,
                    whole.select(train),
                    whole.select(held),
                    folder / name.lower().replace(" ", "-") / f"member-{index + 1}",
                    options.seed + index,
                    teachers,
                    weighed,
                    name if len(members) == 1 else f"{name}, {member.sizes} pixels",
                )
                for index, member in enumerate(members)
            ]
        )

    for index, (train, held) in enumerate(folds(whole, options.folds, options.seed), start=1):
        logits[:, held] = answered(train, held, f"Fold {index}")
    machines = logits[:, rare]
    if rare.any() and options.machines != "leave-out":
        machines = answered(np.flatnonzero(~rare), np.flatnonzero(rare), "Machines")
    return OutOfFold(logits, machines)


def _answers(
    recipe: Recipe,
    train: Split,
    held: Split,
    folder: Path,
    seed: int,
    teachers: Teachers | None,
    rare: NDArray[np.bool_] | None,
    label: str,
) -> Floats:
    stored, digest = folder / ANSWERS, "\n".join(held.paths)
    try:
        with np.load(stored) as kept:
            if str(kept["held"]) == digest:
                return np.asarray(kept["logits"], np.float32)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass  # not there, or damaged: answer again
    member = fit_member(recipe, train, folder, seed, teachers, rare, label=label)
    logits = predict_logits(member.model, held.images)
    keras.backend.clear_session()
    partial = stored.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, logits=logits, held=np.array(digest))
    partial.replace(stored)
    return logits
