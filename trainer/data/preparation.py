"""The data of a run: found, decoded, split by patient, audited."""

from dataclasses import dataclass, replace
from pathlib import Path

from shared.bundle.manifest import Data
from shared.labels import LABELS
from trainer.config.options import Options
from trainer.console import bar, say
from trainer.data.audit import Audit, audit, data_record, fingerprint
from trainer.data.dataset import Dataset, DatasetError, Split, check_split, find_dataset
from trainer.data.loading import load_split
from trainer.data.splits import Indices, stress_fold, validation_split, without_copies
from trainer.errors import TrainerError


@dataclass(frozen=True)
class Prepared:
    """The data of a run: split by patient, without copies.

    Attributes:
        splits: "train" and "validation"; "val" and "test" where there are any.
        holdout: Who validates: the option, or "plain" where that cannot be had.
        audit: Facts about them.
        data: What is recorded of them.
    """

    splits: dict[str, Split]
    holdout: str
    audit: Audit
    data: Data


def prepare(data: Path, work: Path, options: Options, test: bool) -> Prepared:
    """Find, decode, split and audit the data, and print what was found.

    Args:
        data: The folder or .zip.
        work: Where decoded images are kept.
        options: How to split.
        test: Whether the test folder is needed.

    Raises:
        TrainerError: A folder is missing, empty or mostly unreadable.
    """
    dataset = find_dataset(data)
    check_split(dataset, "train")
    if test:
        _check_test(dataset)
    names = ["train"] + [n for n in ("val", "test") if n in dataset.files and (n != "test" or test)]
    loaded: dict[str, Split] = {}
    broken = []
    for name in names:
        if name == "val" and len(dataset.files[name]) < len(LABELS):
            say("  val", "has no images of one class and is left out: it is only reported")
            continue
        with bar(f"Reading {name}") as progress:
            loaded[name], skipped = load_split(
                dataset, name, work / "cache", progress, options.limit or None
            )
        broken += skipped
    digest = fingerprint(loaded["train"])
    whole, dropped = without_copies(loaded.pop("train"))
    holdout = _holdout(whole, options)
    try:
        train, held = _hold_out(whole, replace(options, holdout=holdout))
    except DatasetError as error:
        raise TrainerError(f"{data}: {error}") from error
    splits = {"train": whole.select(train), "validation": whole.select(held), **loaded}
    found = audit(splits, dropped, broken)
    _describe(data, found)
    if holdout != options.holdout:
        say("", f"validation is {holdout}: --holdout {options.holdout} needs patients with numbers")
    return Prepared(splits, holdout, found, data_record(splits, digest))


def _holdout(whole: Split, options: Options) -> str:
    numbered = any(patient[-1:].isdigit() for patient in whole.patients)
    return options.holdout if numbered or options.stress not in ("late", "ends") else "plain"


def _hold_out(whole: Split, options: Options) -> tuple[Indices, Indices]:
    if options.stress is None:
        return validation_split(whole, options.validation_share, options.seed)
    return stress_fold(whole, options.stress, options.validation_share, options.seed)


def _check_test(dataset: Dataset) -> None:
    try:
        check_split(dataset, "test")
    except TrainerError as error:
        raise TrainerError(f"{error} Or leave the test out with --no-test.") from error


def _describe(data: Path, found: Audit) -> None:
    say("Data", str(data))
    for name, facts in found.splits.items():
        pneumonia = facts.images - facts.strata["normal"]
        say(
            f"  {name}",
            f"{facts.strata['normal']:,} normal + {pneumonia:,} pneumonia, "
            f"{facts.patients:,} patients",
        )
    if found.dropped:
        say("", f"{found.dropped} exact copies left out")
    for file in found.broken[:20]:
        say("  skipped", f"{file.path}: {file.reason}")
    if found.broken:
        say("", f"{len(found.broken)} unreadable files skipped; they count nowhere")
    for (a, b), count in found.shared_copies.items():
        if count:
            say("  warning", f"{count} images of {b} are exact copies of images of {a}")
