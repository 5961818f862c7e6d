"""Measure one exported network on everything that it is to be measured on."""

from pathlib import Path

from shared.interpretation import Interpretation
from trainer.bootstrap import Interval, wilson
from trainer.console import bar, say
from trainer.data.dataset import Dataset, Split, check_split, find_dataset
from trainer.data.image_folder import list_files, load_pictures
from trainer.data.loading import load_split
from trainer.data.other_images import learned_from
from trainer.errors import TrainerError
from trainer.evaluation.results import SetResult, measure
from trainer.model.inference import Outputs, predict


def run_network(onnx: Path, split: Split, name: str) -> Outputs:
    """The outputs for one set of images, with a bar."""
    with bar(f"Predict {name}") as progress:
        return predict(onnx, split.images, maps=True, progress=progress)


def find_single(path: Path, split: str | None = None) -> tuple[Dataset, str]:
    """Find one set to evaluate on: a split of a data set, or two class folders at the top.

    Args:
        path: A folder or a .zip.
        split: Which; None: "test" if there is one, else the classes at the top, else the only
            split there is.

    Returns:
        The data set, and which split of it; "" for the classes at the top.

    Raises:
        TrainerError: Not found, or which is meant is not clear.
    """
    dataset = find_dataset(path)
    split = _default_split(dataset) if split is None else split
    check_split(dataset, split)
    return dataset, split


def load_single(path: Path, split: str | None = None) -> tuple[str, Split]:
    """Load what `find_single` finds.

    Returns:
        The name of the split, or of the folder where the classes lie at its top; and its images.

    Raises:
        TrainerError: Not found, or which is meant is not clear.
    """
    dataset, split = find_single(path, split)
    with bar(f"Reading {split or path.name}") as progress:
        images, broken = load_split(dataset, split, None, progress)
    for file in broken:
        say("  skipped", f"{file.path}: {file.reason}")
    return split or path.name, images


def _default_split(dataset: Dataset) -> str:
    """The test split, else the classes at the top, else the only split there is."""
    for split in ("test", ""):
        if split in dataset.files:
            return split
    if len(dataset.files) > 1:
        raise TrainerError(
            f"{dataset.path} holds {' and '.join(dataset.files)}: say which one with --split."
        )
    return next(iter(dataset.files))


def check_others(external: dict[str, Path], not_chest: dict[str, Path]) -> None:
    """Check that what `measure_others` will need is there, without reading an image.

    Args:
        external: Name to a folder with NORMAL and PNEUMONIA.
        not_chest: Name to a folder of other pictures.

    Raises:
        TrainerError: One is not; the message names the option.
    """
    for option, folders, check in (
        ("--external", external, find_single),
        ("--not-chest", not_chest, list_files),
    ):
        for name, path in folders.items():
            try:
                check(path)
            except TrainerError as error:
                raise TrainerError(
                    f"{option} {name}: {error} To go on with a run without it: --resume "
                    f"--no-{option.removeprefix('--')}."
                ) from error


def measure_others(
    onnx: Path,
    interpretation: Interpretation,
    external: dict[str, Path],
    not_chest: dict[str, Path],
    resamples: int,
) -> tuple[list[SetResult], dict[str, Interval]]:
    """Measure on images from elsewhere, and on pictures that are no chest X-rays.

    Args:
        onnx: The network.
        interpretation: What turns its outputs into answers.
        external: Name to a folder with NORMAL and PNEUMONIA.
        not_chest: Name to a folder of other pictures; those that the refusal is fitted on do not
            count.
        resamples: Bootstrap draws.

    Returns:
        The results of the first, and the shares refused of the second.
    """
    results = []
    for name, path in external.items():
        images = load_single(path)[1]
        outputs = run_network(onnx, images, name)
        results.append(measure(name, images, outputs, interpretation, resamples))
    refused = {}
    for name, path in not_chest.items():
        pictures, unread = load_pictures(path)
        if unread:
            say(f"  {name}", f"{unread} files are no readable pictures and were left out")
        known = learned_from(pictures)
        if known.any():
            say(
                f"  {name}", f"{known.sum()} pictures, which the trainer learns from, were left out"
            )
            pictures = pictures[~known]
        if not len(pictures):
            continue
        outputs = predict(onnx, pictures)
        found = interpretation.answer(outputs.logits, outputs.features).refused
        if found is not None:
            refused[name] = wilson(int(found.sum()), len(found))
    return results, refused
