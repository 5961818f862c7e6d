"""A cell of a study: one recipe trained on one fold by one seed, once, whoever is asked for it.

    OUT/cells/small-fold-1-seed-0/member-1/checkpoint.npz   what the next epoch depends on
                                 /member-1/answers.npz      the logits of the images held out
                                 /result.json               what came out; written last

A process that takes a cell over goes on from its last epoch. Nothing is published.
"""

import json
from typing import Any

from shared.runtime.file_lock import FileLock
from trainer.errors import TrainerError
from trainer.runs.provenance import revision
from trainer.runs.run_folder import write_atomically
from trainer.studies.design import Cell
from trainer.studies.plan import Plan, load_images

RESULT = "result.json"
_CUT = 0  # the seed that cuts the folds, for all seeds of the trainings


def read_result(plan: Plan, cell: Cell) -> dict[str, Any] | None:
    """What came out of a cell; None where it is not finished."""
    try:
        found: dict[str, Any] = json.loads((plan.folder(cell) / RESULT).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if found.get("plan") == plan.id else None


def finish_cell(plan: Plan, cell: Cell, wait: bool = False) -> None:
    """Train a cell, unless it is finished.

    Args:
        plan: Of the study.
        cell: Which.
        wait: Whether to wait for another process that works on it.

    Raises:
        Held: Another process works on it.
        TrainerError: The training diverged, or the images are not those of the plan.
    """
    folder = plan.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", wait):
        if read_result(plan, cell) is None:
            result = _train(plan, cell)
            write_atomically(folder / RESULT, json.dumps(result, indent=2) + "\n")
            for checkpoint in folder.glob("*/checkpoint.npz"):  # some megabytes each
                checkpoint.unlink()


def _train(plan: Plan, cell: Cell) -> dict[str, Any]:
    from trainer.data.splits import folds
    from trainer.model.backend import load_keras
    from trainer.studies.figures import measure_cell

    design, variant = plan.design, plan.design.recipes[cell.recipe]
    prepared = load_images(plan.data, plan.out, design.folds, design.limit)
    if prepared.data.fingerprint != plan.images:
        raise TrainerError(
            f"The training images in {plan.data} are not those that the study in {plan.out} began "
            "with. Put them back, or name another --out."
        )
    load_keras()
    from trainer.training.checkpoint import ResumeMismatch
    from trainer.training.fold import answer_fold

    whole = prepared.splits["train"]
    train, held = folds(whole, design.folds, _CUT)[cell.fold - 1]
    try:
        found = answer_fold(
            prepared,
            train,
            held,
            variant.recipe,
            variant.machines,
            plan.folder(cell),
            cell.seed * len(variant.recipe.input_sizes),  # no member has another cell's
            label=str(cell),
        )
    except ResumeMismatch as error:
        raise TrainerError(str(error)) from error
    answered = whole.select(held)
    return {
        "plan": plan.id,
        "recipe": cell.recipe,
        "fold": cell.fold,
        "seed": cell.seed,
        "figures": measure_cell(found.logits.mean(axis=0), answered, prepared.machines[held]),
        "images": len(answered),
        "patients": len(set(answered.patients)),
        "histories": found.histories,
        "revision": revision(),
    }
