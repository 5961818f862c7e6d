"""The plan of a study: made once, and never that of another study."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from trainer.errors import TrainerError
from trainer.studies.design import parse_design
from trainer.studies.plan import plan_study, read_plan

SAID: dict[str, Any] = {
    "folds": 2,
    "limit": 8,
    "recipes": {"plain": {"epochs": 2}, "kept": {"machines": "keep"}},
}
TOGETHER = 8


def test_of_eight_starts_one_plans_and_all_agree(phantoms: Path, tmp_path: Path) -> None:
    barrier = Barrier(TOGETHER)

    def start(_: int) -> str:
        barrier.wait(60)
        return plan_study(parse_design(SAID), phantoms, tmp_path / "out").id

    with ThreadPoolExecutor(TOGETHER) as starts:
        [plan] = set(starts.map(start, range(TOGETHER)))
    read = read_plan(phantoms, tmp_path / "out")
    assert read is not None
    assert read.id == plan
    assert read.design == parse_design(SAID)
    assert len([*(tmp_path / "out" / "cache").glob("train-*")]) == 1


def test_another_study_or_other_images_are_refused(phantoms: Path, tmp_path: Path) -> None:
    data, out = Path(shutil.copytree(phantoms, tmp_path / "data")), tmp_path / "out"
    plan = plan_study(parse_design(SAID), data, out)
    assert plan_study(parse_design(SAID), data, out) == plan
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    assert plan_study(parse_design(SAID), moved, out) == plan
    for change, said in (
        ({"seeds": [0, 1]}, "seeds was [0], is [0, 1]"),
        ({"recipes": {"plain": {"epochs": 3}, "kept": {"machines": "keep"}}}, "plain.epochs was 2"),
        ({"recipes": dict(reversed(SAID["recipes"].items()))}, "the order of its recipes"),
    ):
        with pytest.raises(TrainerError) as refused:
            plan_study(parse_design({**SAID, **change}), data, out)
        for part in (f"{out} holds another study", said, "another --out"):
            assert part in str(refused.value)
    next((data / "train" / "NORMAL").iterdir()).unlink()
    with pytest.raises(TrainerError, match=f"other images than those in {data}.*another --out"):
        plan_study(parse_design(SAID), data, out)


def test_a_plan_that_cannot_be_read_or_is_gone(phantoms: Path, tmp_path: Path) -> None:
    plan_study(parse_design(SAID), phantoms, tmp_path)
    path = tmp_path / "plan.json"
    whole = path.read_text()
    for damaged in (whole[:40], "{}", json.dumps({**json.loads(whole), "format": 99})):
        path.write_text(damaged)
        with pytest.raises(TrainerError, match=r"plan\.json is no plan .*--out"):
            plan_study(parse_design(SAID), phantoms, tmp_path)
    path.unlink()
    (tmp_path / "cells").mkdir()
    with pytest.raises(TrainerError, match=r"but not its plan\.json. Remove .*cells, or name"):
        plan_study(parse_design(SAID), phantoms, tmp_path)


def test_data_that_cannot_be_cut_are_refused_before_anything_is_written(
    phantoms: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainerError, match="too few to cut into 20 parts"):
        plan_study(parse_design({**SAID, "folds": 20}), phantoms, tmp_path)
    with pytest.raises(TrainerError, match="does not exist"):
        plan_study(parse_design(SAID), tmp_path / "none", tmp_path)
    assert read_plan(phantoms, tmp_path) is None
