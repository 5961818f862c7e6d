"""`study`: every recipe on every fold by every seed, each trained once, and a table of them.

    OUT/plan.json    what is trained on which images; written first
    OUT/cache/       the decoded images
    OUT/cells/       a folder for each training
    OUT/table.md     what came out, and table.csv; after every call

Any process may be killed, and the same command goes on. Nothing is published.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from shared.runtime.file_lock import FileLock
from trainer.console import duration, going_on_by, say
from trainer.errors import TrainerError
from trainer.runs.run_folder import write_atomically
from trainer.studies.cell import read_result
from trainer.studies.design import Cell, Design
from trainer.studies.engines import train_here, train_on_cluster
from trainer.studies.plan import Plan, plan_study
from trainer.studies.table import tabulate, write_csv, write_markdown


def study(design: Design, data: Path, out: Path, cell: int | None, scheduler: str | None) -> None:
    """Train the cells that are not finished, and write the table.

    Args:
        design: Folds, seeds and recipes.
        data: Folder or .zip with the training folder.
        out: Folder of the study.
        cell: The number of the only one to train, from 0; None: all.
        scheduler: Address of a Dask scheduler whose workers train them; None: this process.

    Raises:
        TrainerError: The folder holds another study, the data are not usable, or cells are not
            finished; the others are all the same.
    """
    with going_on_by("Run the same command again to go on."):
        plan = plan_study(design, data.absolute(), out.absolute())
        cells = plan.design.cells
        say("Study", f"{plan.out}: {design.describe()}")
        own = range(len(cells)) if cell is None else [cell]
        todo = [n for n in own if read_result(plan, cells[n]) is None]
        if scheduler and todo:
            outcomes = train_on_cluster(scheduler, plan, todo)
        else:
            outcomes = train_here(plan, todo)
        failed = {n: why for n, why in _shown(plan, outcomes, len(own), len(todo)) if why}
        _write_table(plan)
    if failed:
        names = "; ".join(f"--cell {n}: {cells[n]}" for n in list(failed)[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        reasons = " ".join(list(dict.fromkeys(failed.values()))[:3])
        raise TrainerError(
            f"{len(failed)} of {len(cells)} cells are not finished ({names}{more}): {reasons} What "
            "is finished is kept; run the same command again to go on."
        )


def _shown(
    plan: Plan, outcomes: Iterator[tuple[int, str]], total: int, left: int
) -> Iterator[tuple[int, str]]:
    """The same outcomes, with a bar on a terminal, and a line for each cell everywhere."""
    cells, began = plan.design.cells, time.monotonic()
    with tqdm(
        outcomes,
        desc="Study",
        total=total,
        initial=total - left,
        unit="cell",
        leave=False,
        disable=None,
        file=sys.stderr,
    ) as bar:
        for done, (number, problem) in enumerate(bar, start=1):
            result = read_result(plan, cells[number])
            what = f"ROC AUC {result['figures']['roc_auc']:.4f}" if result else problem
            rest = (time.monotonic() - began) / done * (left - done)
            when = f"; about {duration(rest)} left" if done < left else ""
            say(f"Cell {number + 1}/{len(cells)}", f"{cells[number]}: {what}{when}")
            yield number, problem


def _write_table(plan: Plan) -> None:
    """Write it anew, and print it; of several processes the last has all results."""
    with FileLock(plan.out / ".lock", wait=True):
        found: dict[Cell, dict[str, float]] = {
            cell: result["figures"]
            for cell in plan.design.cells
            if (result := read_result(plan, cell)) is not None
        }
        entries = tabulate(plan.design, found)
        text = write_markdown(plan.design, entries, len(found))
        write_atomically(plan.out / "table.md", text)
        write_atomically(plan.out / "table.csv", write_csv(entries))
    print(f"\n{text}")
