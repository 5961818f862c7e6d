"""The batches of an epoch: balanced over the classes, augmented, and the same again for the same
seed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from shared.preprocessing import scale
from trainer.config.recipe import Recipe
from trainer.data.augmentation import augment, mix
from trainer.data.dataset import Split

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_RARE = 0.25  # as often as others


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of one training run, drawn and augmented by another thread while the network works.

    About half of each batch is normal, the other half pneumonia, shared evenly by bacterial, viral
    and unknown cause, as far as the split has them: what is common must not be cheaper to get
    wrong. Images that are rare come a quarter as often as others of their kind. Epoch and position
    in it seed each batch, so that a run that is resumed sees what an unbroken one sees.

    Items are (images, targets, weights): (B, 224, 224, 1) float32 in [0, 1], a pair of (B, 1)
    float32 targets for `pneumonia` and `viral` in [0, 1], and a pair of (B,) float32 weights: 1 for
    `pneumonia`; for `viral` how much of the (mixed) image has a known cause, in [0, 1].
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        seed: int,
        rare: Flags | None = None,
    ) -> None:
        """Draw the first epoch.

        Args:
            split: Images to learn from.
            recipe: Batch size, augmentation, and what makes the targets.
            seed: Of the order and of the augmentation.
            rare: (N,) which images come less often than others; None: none does.
        """
        super().__init__(workers=1, max_queue_size=8)
        self.split, self.recipe, self.seed = split, recipe, seed
        rare = np.zeros(len(split), bool) if rare is None else rare
        self.pools, self.shares = _pools(split.strata(), rare)
        self.start_epoch(0)

    def __len__(self) -> int:
        return max(1, len(self.split) // self.recipe.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of one epoch, counted from 0."""
        self.epoch = epoch
        rng = np.random.default_rng([self.seed, epoch])
        total = len(self) * self.recipe.batch_size
        counts = np.floor(self.shares * total).astype(int)
        counts[0] += total - counts.sum()
        drawn = [_cycled(pool, count, rng) for pool, count in zip(self.pools, counts, strict=True)]
        # Each stratum is spread evenly, so that every batch holds its share of each.
        position = np.concatenate([(np.arange(n) + rng.random(n)) / n for n in counts if n])
        self.order = np.concatenate(drawn)[np.argsort(position, kind="stable")]

    def on_epoch_end(self) -> None:
        """Keras calls this between epochs."""
        self.start_epoch(self.epoch + 1)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        size = self.recipe.batch_size
        chosen = self.order[index * size : (index + 1) * size]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        images = scale(augment(self.split.images[chosen], rng, self.recipe))
        pneumonia = self.split.labels[chosen].astype(np.float32)
        viral = (self.split.causes[chosen] == 1).astype(np.float32)
        known = (self.split.causes[chosen] >= 0).astype(np.float32)
        targets = np.stack([pneumonia, viral * known, known], axis=1)
        images, targets = mix(images, targets, rng, self.recipe.mixup)
        pneumonia, viral, known = targets.T
        viral = viral / np.maximum(known, 1e-6)
        answers = np.stack([self._smooth(pneumonia), self._smooth(viral)], axis=1)
        return images, (answers[:, :1], answers[:, 1:]), (np.ones_like(pneumonia), known)

    def _smooth(self, target: Floats) -> Floats:
        """Label smoothing (Szegedy et al., CVPR 2016)."""
        amount = self.recipe.label_smoothing
        return (target * (1 - amount) + amount / 2).astype(np.float32)


def _pools(
    strata: NDArray[np.int64], rare: Flags
) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
    """What is drawn from, and the part of a batch for each: a half for normal (stratum 0), the rest
    evenly."""
    pools, shares = [], []
    present = np.unique(strata)
    for stratum in present:
        share = 0.5 if stratum == 0 else 0.5 / max(1, len(present) - 1)
        weight = np.where(rare, _RARE, 1.0) * (strata == stratum)
        for part in (weight == 1, weight == _RARE):
            if part.any():
                pools.append(np.flatnonzero(part))
                shares.append(share * weight[part].sum() / weight.sum())
    return pools, np.array(shares) / sum(shares)


def _cycled(pool: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` members of the pool, each as often as the others, give or take one."""
    rounds = -(-count // len(pool))
    return np.concatenate([rng.permutation(pool) for _ in range(rounds)] or [pool[:0]])[:count]
