"""The data of a run: found, decoded, audited."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import Data
from shared.labels import LABELS
from trainer.config.options import Machines, Options
from trainer.console import say
from trainer.data.acquisition import Group, find_groups, of_machines
from trainer.data.audit import Audit, audit, data_record, fingerprint
from trainer.data.dataset import Split, check_split, find_dataset
from trainer.data.loading import load_split
from trainer.data.splits import folds, without_copies
from trainer.errors import TrainerError


@dataclass(frozen=True)
class Prepared:
    """The data of a run, without copies.

    Attributes:
        splits: "train"; "val" and "test" where there are any.
        groups: Images of "train" that share a machine, a style or a series.
        machines: (N,) whether an image of "train" is of a machine that stands for a class.
        learned: (N,) whether an image of "train" is learned from.
        audit: Facts about them.
        data: What is recorded of them.
    """

    splits: dict[str, Split]
    groups: list[Group]
    machines: NDArray[np.bool_]
    learned: NDArray[np.bool_]
    audit: Audit
    data: Data


def prepare(data: Path, work: Path, options: Options, test: bool) -> Prepared:
    """Find, decode and audit the data, and print what was found.

    Args:
        data: The folder or .zip.
        work: Where decoded images are kept.
        options: How many to read, and what becomes of machines that stand for a class.
        test: Whether the test folder is needed.

    Raises:
        TrainerError: A folder is missing, empty or mostly unreadable.
    """
    dataset = find_dataset(data)
    check_split(dataset, "train")
    if test:
        try:
            check_split(dataset, "test")
        except TrainerError as error:
            raise TrainerError(f"{error} Or leave the test out with --no-test.") from error
    names = ["train"] + [n for n in ("val", "test") if n in dataset.files and (n != "test" or test)]
    loaded: dict[str, Split] = {}
    broken = []
    for name in names:
        if name == "val" and len(dataset.files[name]) < len(LABELS):
            say("  val", "has no images of one class and is left out: it is only reported")
            continue
        loaded[name], skipped = load_split(dataset, name, work / "cache", options.limit)
        broken += skipped
    digest = fingerprint(loaded["train"])
    whole, dropped = without_copies(loaded.pop("train"))
    try:
        folds(whole, options.folds, options.seed)
    except TrainerError as error:
        raise TrainerError(f"{data}: {error}") from error
    splits = {"train": whole, **loaded}
    found = audit(splits, dropped, broken)
    _describe(data, found)
    groups = find_groups(whole, options.seed)
    machines = of_machines(groups, len(whole))
    learned = ~machines if options.machines == "leave-out" else np.ones(len(whole), bool)
    return Prepared(splits, groups, machines, learned, found, data_record(splits, learned, digest))


def describe_machines(groups: list[Group], treatment: Machines | None) -> None:
    """Print the groups that stand for a class, and what becomes of them.

    Args:
        groups: As prepared.
        treatment: Of machines; None: each recipe has its own.
    """
    fate = {"keep": "kept", "weigh": "drawn a quarter as often", "leave-out": "left out"}
    machine = fate[treatment] if treatment else "as each recipe says"
    for group in groups:
        if group.shortcut:
            counts = ", ".join(f"{count} {name}" for name, count in group.counts.items() if count)
            what = machine if group.kind == "marks" else "kept: the look may be the illness"
            say("  shortcut", f"{group.name}: {counts}; {what}")


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
