"""What a killed run goes on from: everything that the next epoch depends on, in one file.

Keras' BackupAndRestore does not repeat an unbroken run: it leaves out the average of the weights
and the state of the dropout.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from shared.runtime.whole_file import replacing
from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.training.averaging import RunningAverage
from trainer.training.batches import Flags

CHECKPOINT = "checkpoint.npz"


class ResumeMismatch(Exception):
    """A checkpoint belongs to another run; the message says what differs and what to do."""


class Checkpoint:
    """Everything that the next epoch depends on, in memory and in one file.

    Attributes:
        history: One entry for each epoch that is done.
    """

    def __init__(
        self, learner: keras.Model, average: RunningAverage, path: Path, identity: str
    ) -> None:
        """Begin without a file.

        Args:
            identity: From `identity_of`; a file with another one is of another run.
        """
        self.learner, self.average, self.path, self.identity = learner, average, path, identity
        self.history: list[dict[str, float]] = []

    def resume(self) -> int:
        """Load the file if there is one; returns the number of epochs that are done.

        Raises:
            ResumeMismatch: It is of another recipe, seed or training folder.
        """
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
        note = {"identity": self.identity, "steps": self.average.steps, "history": self.history}
        with replacing(self.path) as file:
            np.savez(file, note=np.array(json.dumps(note)), **arrays)

    def _variables(self) -> list[Any]:
        """Weights, the state of the dropout and the state of Adam, in a fixed order."""
        return [*self.learner.variables, *self.learner.optimizer.variables]


def identity_of(recipe: Recipe, train: Split, seed: int, rare: Flags | None) -> str:
    """What must be equal for a checkpoint to be of the same run."""
    names = hashlib.sha256("\n".join(train.paths).encode()).hexdigest()
    return json.dumps(
        {
            "recipe": recipe.to_json(),
            "seed": seed,
            "training images": len(train),
            "digest of their names": names[:12],
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
