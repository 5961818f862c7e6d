"""The plan of a study: what its processes agree on. Written once, then only read."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.runtime.file_lock import FileLock, Held
from trainer.config.options import Options
from trainer.console import say
from trainer.data.dataset import Dataset, check_split, find_dataset
from trainer.errors import TrainerError
from trainer.runs.run_folder import check_writable, write_atomically
from trainer.studies.design import Cell, Design, parse_design

if TYPE_CHECKING:
    from trainer.data.preparation import Prepared

PLAN = "plan.json"
CELLS = "cells"
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What is trained on which images, and where.

    Attributes:
        design: Folds, seeds, recipes.
        files: Hash of the names and sizes of the training folder's files.
        images: Hash of its images, as they are learned from.
        data: Folder or .zip with the training folder, as this process sees it.
        out: Folder of the study, likewise.
    """

    design: Design
    files: str
    images: str | None
    data: Path = field(compare=False)
    out: Path = field(compare=False)

    @property
    def id(self) -> str:
        """A hash of what is trained on which images, wherever."""
        everything = json.dumps([_FORMAT, self.design.to_json(), self.files, self.images])
        return hashlib.sha256(everything.encode()).hexdigest()[:16]

    def folder(self, cell: Cell) -> Path:
        """Where what is left of a cell's training is kept."""
        return self.out / CELLS / cell.name


def read_plan(data: Path, out: Path) -> Plan | None:
    """The plan in the folder of a study, or None where there is none.

    Raises:
        TrainerError: The file is no plan of this version.
    """
    try:
        said = json.loads((out / PLAN).read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ValueError("of another version")
        return Plan(parse_design(said["study"]), said["files"], said["images"], data, out)
    except FileNotFoundError:
        return None
    except (TrainerError, ValueError, KeyError, TypeError) as error:
        raise TrainerError(
            f"{out / PLAN} is no plan of this version of the program ({error}). Go on with the "
            "version that wrote it, or name another --out."
        ) from error


def plan_study(design: Design, data: Path, out: Path) -> Plan:
    """Read the plan of a study, or make it; of several processes one does, and the others wait.

    Args:
        design: What is asked for.
        data: Folder or .zip with the training folder.
        out: Folder of the study, made if absent.

    Raises:
        TrainerError: The folder holds another study, or one of other data; or the data are not
            usable, or the folder cannot be written.
    """
    dataset = find_dataset(data)
    check_split(dataset, "train")
    check_writable(out, "--out")
    plan = read_plan(data, out)
    if plan is None:
        with _alone(out):
            plan = read_plan(data, out) or _make_plan(design, dataset, out)
    asked, planned = design.to_json(), plan.design.to_json()
    if json.dumps(asked) != json.dumps(planned):  # also in another order
        raise TrainerError(
            f"{out} holds another study: {_difference(planned, asked)}. Give it the file that it "
            "began with to go on, or name another --out."
        )
    if dataset.listing("train") != plan.files:
        raise TrainerError(
            f"{out} holds a study of other images than those in {data}. Give --data that it began "
            "with to go on, or name another --out."
        )
    return plan


@lru_cache(maxsize=1)
def load_images(data: Path, out: Path, folds: int, limit: int) -> "Prepared":
    """The training folder, checked and audited: decoded once for all cells, kept between them.

    Args:
        data: The folder or .zip.
        out: Of the study; `cache` in it holds the decoded images.
        folds: Into how many parts it must be possible to cut the patients.
        limit: Images of each class to use; 0: all.

    Raises:
        TrainerError: The data are not usable.
    """
    from trainer.data.preparation import prepare

    return prepare(data, out, Options(folds=folds, limit=limit), test=False)


def _alone(out: Path) -> FileLock:
    try:
        return FileLock(out / ".lock")
    except Held as holder:
        say("Waiting", f"for the plan, which {holder} makes")
        return FileLock(out / ".lock", wait=True)


def _make_plan(design: Design, dataset: Dataset, out: Path) -> Plan:
    from trainer.data.preparation import describe_machines

    if (out / CELLS).exists():
        raise TrainerError(
            f"{out} holds trainings of a study, but not its {PLAN}. Remove {out / CELLS}, or name "
            "another --out."
        )
    prepared = load_images(dataset.path, out, design.folds, design.limit)
    describe_machines(prepared.groups, None)
    files, images = dataset.listing("train"), prepared.data.fingerprint
    plan = Plan(design, files, images, dataset.path, out)
    said = {"format": _FORMAT, "id": plan.id, "files": files, "images": images}
    write_atomically(out / PLAN, json.dumps({**said, "study": design.to_json()}, indent=2) + "\n")
    return plan


def _difference(planned: dict[str, Any], asked: dict[str, Any]) -> str:
    before, now = _flat(planned), _flat(asked)
    changed = [
        f"{key} was {before.get(key, 'absent')}, is {now.get(key, 'absent')}"
        for key in before | now
        if before.get(key) != now.get(key)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ("; ".join(changed[:3]) or "the order of its recipes") + more


def _flat(said: dict[str, Any], where: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in said.items():
        found |= _flat(value, f"{where}{key}.") if isinstance(value, dict) else {where + key: value}
    return found
