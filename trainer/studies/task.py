"""What goes by way of a Dask scheduler to a worker: plain values.

The scheduler imports this module too. It must stay small, and so this imports next to nothing.
"""

from pathlib import Path
from threading import Lock

_one_at_a_time = Lock()  # what Keras keeps belongs to the whole process


def train_cell(plan_id: str, number: int, data: str, out: str) -> None:
    """Train a cell, unless it is finished, on a worker.

    Args:
        plan_id: Of the plan that the worker must find in `out`.
        number: Of the cell.
        data: Folder or .zip of the images, as the worker sees it.
        out: Folder of the study, likewise.

    Raises:
        TrainerError: The worker does not see the study's folder, or cannot train the cell.
    """
    from trainer.errors import TrainerError
    from trainer.studies.cell import finish_cell
    from trainer.studies.plan import read_plan

    with _one_at_a_time:
        plan = read_plan(Path(data), Path(out))
        if plan is None or plan.id != plan_id:
            raise TrainerError(
                f"A worker does not find the study in its {out}. All of a cluster's machines must "
                "reach --out and --data by the same paths."
            )
        finish_cell(plan, plan.design.cells[number], wait=True)
