"""One fold: networks learn from some patients and answer the others.

What is finished is kept in files with fixed names, so that whoever takes the fold over, on this
machine or on another, goes on from its last epoch.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from shared.runtime.whole_file import replacing
from trainer.config.options import Machines
from trainer.config.recipe import Recipe
from trainer.data.acquisition import Positions
from trainer.data.dataset import Split
from trainer.data.preparation import Prepared
from trainer.training.checkpoint import identity_of
from trainer.training.loop import fit_member, predict_logits

Floats = NDArray[np.float32]
History = list[dict[str, float]]
ANSWERS = "answers.npz"


@dataclass(frozen=True)
class Fold:
    """What networks say of images that they did not learn from.

    Attributes:
        logits: (members, N, 2) float32: pneumonia, viral given pneumonia.
        histories: The epochs of each member.
    """

    logits: Floats
    histories: list[History]


def answer_fold(
    prepared: Prepared,
    train: Positions,
    held: Positions,
    recipe: Recipe,
    machines: Machines,
    folder: Path,
    seed: int,
    label: str = "Fold",
) -> Fold:
    """Train every member of a recipe on some images, answer the others; or go on with it.

    Args:
        prepared: The data.
        train: Positions of images to learn from.
        held: Positions of N images to answer.
        recipe: The knobs.
        machines: What becomes of images to learn from, of a machine that stands for a class.
        folder: Of the fold; `member-1` and so on in it hold the checkpoint, and `answers.npz` with
            `logits` and the `paths` that they are of.
        seed: Of the first member; each further one has the next.
        label: What the bar calls it.

    Raises:
        ResumeMismatch: A checkpoint in the folder is of another recipe, seed or training folder.
        TrainerError: A training diverged.
    """
    whole, rare = prepared.splits["train"], prepared.machines
    if machines == "leave-out":
        train = train[~rare[train]]
    weighed = rare[train] if machines == "weigh" and rare.any() else None
    learned, answered = whole.select(train), whole.select(held)
    members = recipe.members()
    found = [
        _answer(
            member,
            learned,
            answered,
            folder / f"member-{index + 1}",
            seed + index,
            weighed,
            label if len(members) == 1 else f"{label}, {member.sizes} pixels",
        )
        for index, member in enumerate(members)
    ]
    return Fold(np.stack([logits for logits, _ in found]), [history for _, history in found])


def _answer(
    recipe: Recipe,
    train: Split,
    held: Split,
    folder: Path,
    seed: int,
    rare: NDArray[np.bool_] | None,
    label: str,
) -> tuple[Floats, History]:
    stored = folder / ANSWERS
    identity = identity_of(recipe, train, seed, rare)
    # Where the file is not there, or is damaged, answer again.
    with (
        contextlib.suppress(OSError, KeyError, ValueError, zipfile.BadZipFile),
        np.load(stored) as kept,
    ):
        if str(kept["identity"]) == identity and kept["paths"].tolist() == held.paths:
            return np.asarray(kept["logits"], np.float32), json.loads(str(kept["history"]))
    member = fit_member(recipe, train, folder, seed, rare, label=label)
    logits = predict_logits(member.model, held.images)
    keras.backend.clear_session()
    with replacing(stored) as file:
        np.savez(
            file,
            logits=logits,
            paths=np.array(held.paths, np.str_),
            identity=np.array(identity),
            history=np.array(json.dumps(member.history)),
        )
    return logits, member.history
