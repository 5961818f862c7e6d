"""How fast a training epoch is, against what a tutorial would have one write; both in one run.

    python -m benchmarks.training [--images N] [--data FOLDER]

The other side is `ImageDataGenerator.flow_from_directory` with a rescale of 1/255, and a network of
four convolutions (32-64-128-128) with batch normalisation, max pooling and dropout. Both read the
same JPEGs, as large as a hospital's, and train at 224 x 224 with batches of 32. The fastest of as
many epochs counts for each, run in turns. Prints a table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.labels import LABELS
from tests.phantoms import chest_phantom

Side = tuple[Callable[[], Any], int]  # an epoch, and the images in it

SIZE = (1256, 1624)  # height and width of a typical original, pixels
BATCH = 32
ROUNDS = 2  # timed epochs of each side


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--images", type=int, default=640, metavar="N", help="how many JPEGs (default 640)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="NORMAL and PNEUMONIA folders of JPEGs; default: drawn in code",
    )
    asked = parser.parse_args()
    if asked.images < 2 * BATCH:
        parser.error(f"--images: received {asked.images}; accepts {2 * BATCH} or more")
    with tempfile.TemporaryDirectory() as folder:
        data = lay_out(Path(folder), asked.data, asked.images)
        classic = classic_side(data)
        decoding, ours, bare = our_sides(data, Path(folder))
        speed = fastest({"classic": classic, "ours": ours, "bare": bare})
    first = 1 / (1 / speed["ours"] + decoding)
    print("| training epoch | images a second | ratio |")
    print("|---|---|---|")
    for name, found in (
        ("flow_from_directory and a plain network", speed["classic"]),
        ("this trainer, images in its cache", speed["ours"]),
        ("this trainer, first epoch, decoding included", first),
    ):
        print(f"| {name} | {found:.1f} | {found / speed['classic']:.1f} |")
    print()
    share = 1 - speed["ours"] / speed["bare"]
    print(f"Input pipeline: {share:.1%} of an epoch (against batches that are there already;")
    print("below 0, it is lost in the noise of the machine).")


def fastest(sides: dict[str, Side], rounds: int = ROUNDS) -> dict[str, float]:
    """Images a second of each side, in the fastest of as many epochs for each.

    They run in turns, so that whatever else the machine does falls on all of them, after one epoch
    each that is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(1 + rounds):
        for name, (epoch, images) in sides.items():
            started = time.perf_counter()
            epoch()
            seconds[name].append((time.perf_counter() - started) / images)
    return {name: 1 / min(taken[1:]) for name, taken in seconds.items()}


def lay_out(folder: Path, source: Path | None, count: int) -> Path:
    """A training folder of `count` JPEGs: those of `source`, repeated as needed, or phantoms."""
    rng = np.random.default_rng(0)
    for label in LABELS:
        target = folder / "chest_xray" / "train" / label
        target.mkdir(parents=True)
        if source:
            found = [file.read_bytes() for file in sorted((source / label).iterdir())]
        for index in range(count // 2):
            patient = f"{'IM-' if label == LABELS[0] else 'person'}{index + 1}_x_1.jpeg"
            if source:
                (target / patient).write_bytes(found[index % len(found)])
            else:
                picture = chest_phantom(rng, label == LABELS[1], SIZE)
                Image.fromarray(picture).save(target / patient, quality=90)
    return folder / "chest_xray"


def classic_side(data: Path) -> Side:
    """The tutorial's epoch, and how many images are in it."""
    import keras
    import tensorflow as tf
    from keras import layers

    flow = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        data / "train", target_size=(224, 224), batch_size=BATCH, class_mode="binary"
    )
    network = keras.Sequential([keras.Input((224, 224, 3))])
    for width in (32, 64, 128, 128):
        network.add(layers.Conv2D(width, 3, activation="relu"))
        network.add(layers.BatchNormalization())
        network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dropout(0.5))
    network.add(layers.Dense(128, activation="relu"))
    network.add(layers.Dense(1, activation="sigmoid"))
    network.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return lambda: network.fit(flow, epochs=1, verbose=0), flow.samples


def our_sides(data: Path, work: Path) -> tuple[float, Side, Side]:
    """Seconds to decode an image; this trainer's epoch; and one whose batches are there already."""
    from trainer.config.recipe import Recipe
    from trainer.data.dataset import find_dataset
    from trainer.data.loading import load_split
    from trainer.model.fused_batchnorm import fast_normalisation
    from trainer.model.network import build_network, training_view
    from trainer.training.averaging import RunningAverage
    from trainer.training.batches import TrainingBatches
    from trainer.training.loop import compile_learner, precision
    from trainer.training.precision import computes_bfloat16

    started = time.perf_counter()
    split, _ = load_split(find_dataset(data), "train", work / "cache")
    decoding = (time.perf_counter() - started) / len(split)

    class Ready(TrainingBatches):
        """The batches of an epoch, made before it begins."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.made = [super(Ready, self).__getitem__(i) for i in range(len(self))]

        def __getitem__(self, index: int) -> Any:
            return self.made[index]

    recipe = Recipe(batch_size=BATCH)
    with precision("mixed_bfloat16" if computes_bfloat16() else "float32"):
        learner = training_view(build_network(recipe, fast_normalisation()))
    batches, ready = TrainingBatches(split, recipe, 0), Ready(split, recipe, 0)
    compile_learner(learner, recipe, steps=1000)
    average = RunningAverage(learner, recipe.averaging)
    fit = partial(learner.fit, epochs=1, verbose=0, shuffle=False, callbacks=[average])
    images = len(batches) * BATCH
    return decoding, (lambda: fit(batches), images), (lambda: fit(ready), images)


if __name__ == "__main__":
    main()
