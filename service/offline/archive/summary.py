"""What a finished run found: counted from its files, which must be those of its plan."""

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from service.offline.answer import PASSING
from service.offline.archive.part_file import PartInvalid, part_name, read_part
from service.offline.archive.plan import Plan
from service.offline.archive.storage import Folder

SUMMARY: Final = "summary.json"
_COLUMNS: Final = ["label", "needs_review", "problem"]
_AT_ONCE: Final = 8


@dataclass
class Tally:
    """What is in the finished parts.

    Attributes:
        said: How many files have each label, or problem.
        needs_review: At how many answers a person should look.
        failed: Parts with files on which the machine failed, again and again.
        invalid: Parts whose files do not belong to the plan.
    """

    said: Counter[str] = field(default_factory=Counter)
    needs_review: int = 0
    failed: list[int] = field(default_factory=list)
    invalid: list[int] = field(default_factory=list)


def tally_parts(folder: Folder, plan: Plan, numbers: Iterable[int]) -> Tally:
    """Counts what is in finished parts.

    Raises:
        OSError: One cannot be read.
    """

    def read(number: int) -> dict[str, list[Any]] | None:
        try:
            return read_part(folder, plan, number, _COLUMNS)
        except PartInvalid:
            return None

    tally = Tally()
    numbers = list(numbers)
    with ThreadPoolExecutor(_AT_ONCE) as readers:
        for number, columns in zip(numbers, readers.map(read, numbers), strict=True):
            if columns is None:
                tally.invalid.append(number)
                continue
            pairs = zip(columns["label"], columns["problem"], strict=True)
            tally.said.update(label or problem for label, problem in pairs)
            tally.needs_review += sum(1 for needed in columns["needs_review"] if needed)
            if not PASSING.isdisjoint(columns["problem"]):
                tally.failed.append(number)
    return tally


def write_summary(folder: Folder, plan: Plan, tally: Tally) -> None:
    """Writes `summary.json`, the last file of a run.

    Raises:
        OSError: It cannot be written.
    """
    said = {
        "model": {"version": plan.model, "sha256": plan.sha256},
        "sources": list(plan.sources),
        "files": plan.files,
        "parts": plan.parts,
        "said": dict(sorted(tally.said.items())),
        "needs_review": tally.needs_review,
        "failed_parts": [part_name(number) for number in tally.failed],
    }
    folder.write(SUMMARY, (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode())
