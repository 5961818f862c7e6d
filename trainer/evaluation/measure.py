"""Measure one exported network on everything that it is to be measured on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.bundle.manifest import Data
from shared.interpretation import Interpretation
from shared.network import Outputs
from trainer.bootstrap import Interval, wilson
from trainer.config.options import Options
from trainer.console import bar, say
from trainer.data.audit import fingerprint
from trainer.data.dataset import Dataset, Split, check_split, find_dataset
from trainer.data.image_folder import list_files, load_pictures
from trainer.data.loading import load_split
from trainer.data.other_images import learned_from
from trainer.errors import TrainerError
from trainer.evaluation.counterfactuals import find_counterfactuals
from trainer.evaluation.results import Findings, SetResult, check_heatmaps, measure
from trainer.model.inference import predict

if TYPE_CHECKING:
    import keras

_SHOWN = (
    *("accuracy", "recall", "specificity", "precision", "f1", "roc_auc", "ece"),
    "three_class_accuracy",
)


def run_network(onnx: Path, split: Split, name: str) -> Outputs:
    """The outputs for one set of images, with a bar."""
    with bar(f"Predict {name}") as progress:
        return predict(onnx, split.images, maps=True, progress=progress)


def measure_network(
    onnx: Path, name: str, split: Split, interpretation: Interpretation, options: Options
) -> SetResult:
    """Run a network over one set of images, with a bar, and measure it by a rule."""
    return measure(name, split, run_network(onnx, split, name), interpretation, options)


def warn_if_learned(known: Data, images: Split) -> None:
    """Say so where the images to calibrate on are those that the network was fitted on."""
    if known.fingerprint == fingerprint(images):
        say(
            "  warning",
            "the network learned from these images: it is surer of them than of others, and so is "
            "what is calibrated on them",
        )


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
    images, broken = load_split(dataset, split)
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
    """Check that what `assess` will need is there, without reading an image.

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


def assess(
    onnx: Path,
    interpretation: Interpretation,
    own: Sequence[SetResult],
    options: Options,
    external: Mapping[str, Path] = MappingProxyType({}),
    not_chest: Mapping[str, Path] = MappingProxyType({}),
    model: "keras.Model | None" = None,
) -> Findings:
    """Measure a network on everything, print the figures, and put them together.

    Args:
        onnx: The exported network.
        interpretation: What turns its outputs into answers.
        own: The sets that are measured already; the figures of the first stand in the manifest.
        options: The seed, the bootstrap draws, and what the report shows.
        external: Name to a folder with NORMAL and PNEUMONIA.
        not_chest: Name to a folder of other pictures.
        model: To check the heatmaps of the first set with shuffled weights; None leaves it out.

    Returns:
        The findings as far as measuring tells; how the network came about is for the caller to add.
    """
    results = [*own]
    for name, path in external.items():
        images = load_single(path)[1]
        results.append(measure_network(onnx, name, images, interpretation, options))
    refused = {
        name: share
        for name, path in not_chest.items()
        if (share := _share_refused(onnx, interpretation, name, path)) is not None
    }
    for result in results:
        _describe(result)
    for name, share in refused.items():
        say(name, f"{'refused':<22}{share}")
    views = []
    if own and len(own[0].split):
        views = find_counterfactuals(onnx, own[0], interpretation, options)
    for view in views:
        what = "Moves a logit" if view is views[0] else ""
        say(what, f"{view.name:<22}{view.shift}")
    return Findings(
        interpretation=interpretation,
        results=results,
        cost={"onnx_bytes": onnx.stat().st_size},
        heatmaps=check_heatmaps(results[0], model, options) if results else None,
        counterfactuals=views,
        not_chest=refused,
        caveat=options.caveat,
        images=options.report_images,
        samples=options.samples,
    )


def _share_refused(
    onnx: Path, interpretation: Interpretation, name: str, folder: Path
) -> Interval | None:
    """The share of a folder's pictures that is refused, beside those that the refusal is fitted
    on; None where none is left, or none is ever refused."""
    pictures, unread = load_pictures(folder)
    if unread:
        say(f"  {name}", f"{unread} files are no readable pictures and were left out")
    known = learned_from(pictures)
    if known.any():
        say(f"  {name}", f"{known.sum()} pictures, which the trainer learns from, were left out")
        pictures = pictures[~known]
    if not len(pictures):
        return None
    outputs = predict(onnx, pictures)
    found = interpretation.answer(outputs.logits, outputs.features).refused
    return None if found is None else wilson(int(found.sum()), len(found))


def _describe(result: SetResult) -> None:
    """Print the figures of one set."""
    found = result.evaluation
    say(result.name.capitalize(), f"{found.images:,} images of {found.patients:,} patients")
    for figure in _SHOWN:
        if figure in found.metrics:
            say("", f"{figure:<22}{found.metrics[figure]}")
    for word, share in result.shares.items():
        if share is not None:
            say("", f"{word:<22}{share}")
    (tn, fp), (fn, tp) = found.confusion
    say("", f"normal: {tn} right, {fp} false alarms; pneumonia: {tp} found, {fn} missed")
