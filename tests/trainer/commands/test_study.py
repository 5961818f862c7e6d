"""`study` from the outside: a table of all cells, and nothing else that anybody could notice."""

import csv
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.trainer.conftest import trainer
from tests.trainer.test_cli import refused
from trainer.studies.design import Design, read_design
from trainer.studies.plan import plan_study

TINY = """
stem = 4
widths = "4-4-4-4"
depth = 1
batch_size = 8
mixed_precision = false
"""
TWO_CELLS = f"""
folds = 2
limit = 8

[all]
sizes = "64"
epochs = 2
{TINY}
[recipes.plain]
"""


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def two_cells(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(TWO_CELLS)
    return path


def test_a_cell_that_fails_stops_no_other_and_nothing_that_is_served_changes(
    phantoms: Path, two_cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    (models / "current").write_text("what-is-served")
    asked = ("study", two_cells, "--data", phantoms, "--out", out)
    plan_study(read_design(two_cells), phantoms, out)
    stranger = out / "cells" / "plain-fold-1-seed-0" / "member-1" / "checkpoint.npz"
    stranger.parent.mkdir(parents=True)
    note = {"identity": json.dumps({"recipe": {}, "seed": 99}), "steps": 0, "history": []}
    np.savez(stranger, note=np.array(json.dumps(note)))

    failed = trainer(*asked)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    for part in (
        "1 of 2 cells are not finished (--cell 0: plain, fold 1, seed 0)",
        "seed was 99, is 0",
        "run the same command again",
    ):
        assert part in failed.stderr
    assert "Cell 2/2      plain, fold 2, seed 0: ROC AUC 0." in failed.stdout
    assert "\n1 of 2 cells: 2 folds x 1 seeds x 1 recipes.\n" in failed.stdout
    assert (out / "table.md").read_text().startswith("1 of 2 cells")

    stranger.unlink()
    done = trainer(*asked, "--cell", "0")
    assert done.returncode == 0, done.stderr
    assert "Cell 1/2      plain, fold 1, seed 0: ROC AUC 0." in done.stdout
    assert "Cell 2/2" not in done.stdout
    table = (out / "table.md").read_text()
    assert table.startswith("2 of 2 cells")
    assert done.stdout.endswith(f"\n{table}\n")
    assert tree(models) == {str(models / "current"): b"what-is-served"}

    patients = 0
    for fold in (1, 2):
        folder = out / "cells" / f"plain-fold-{fold}-seed-0"
        result = json.loads((folder / "result.json").read_text())
        [history] = result["histories"]
        assert [row["epoch"] for row in history] == [1, 2]
        with np.load(folder / "member-1" / "answers.npz") as answers:
            assert answers["logits"].shape == (result["images"], 2)
            assert answers["paths"].shape == (result["images"],)
        assert not (folder / "member-1" / "checkpoint.npz").exists()
        patients += result["patients"]
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert {(row["fold"], row["recipe"]) for row in rows} == {
        (fold, "plain") for fold in ("1", "2", "all")
    }
    found = {row["figure"]: float(row["mean"]) for row in rows if row["fold"] == "2"}
    for name, value in result["figures"].items():
        assert found[name] == pytest.approx(value, abs=1e-5)
    names = [*(phantoms / "train").rglob("*.jpeg")]
    assert 2 <= patients <= len(names)


@pytest.mark.parametrize(
    ("more", "parts", "code"),
    [
        (("--cell", "2"), ("--cell: received 2; accepts 0 to 1, as there are 2 cells",), 2),
        (("--cell", "-1"), ("--cell: received -1; accepts 0 to 1",), 2),
        (("--scheduler", "nonsense"), ("No scheduler answers at nonsense", "dask scheduler"), 1),
    ],
)
def test_what_cannot_be_done_is_said(
    more: tuple[str, ...],
    parts: tuple[str, ...],
    code: int,
    phantoms: Path,
    two_cells: Path,
    tmp_path: Path,
) -> None:
    pytest.importorskip("distributed")
    asked = ("study", two_cells, "--data", phantoms, "--out", tmp_path / "out")
    refused(trainer(*asked, *more), *parts, code=code)


def documented(tmp_path: Path) -> tuple[str, Design]:
    """The study.toml of the documentation, as it stands."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    path = tmp_path / "study.toml"
    path.write_text(block)
    return block, read_design(path)


@pytest.mark.slow
def test_the_study_of_the_documentation_runs(phantoms: Path, tmp_path: Path) -> None:
    block, design = documented(tmp_path)
    assert len(design.seeds) >= 3  # or nothing would be marked
    small = {
        *((r"^folds = \d+", "folds = 2"), (r"^seeds = .*$", "seeds = [0]\nlimit = 12")),
        *((r'^sizes = "\d+"', 'sizes = "64"'), (r"^epochs = \d+", f"epochs = 1\n{TINY}")),
    }
    for pattern, text in small:
        block, count = re.subn(pattern, text, block, flags=re.M)
        assert count == 1, pattern
    tomllib.loads(block)
    (tmp_path / "study.toml").write_text(block)
    asked = ("study", tmp_path / "study.toml", "--data", phantoms, "--out", tmp_path / "out")
    small_design = read_design(tmp_path / "study.toml")
    first_fold = [index for index, cell in enumerate(small_design.cells) if cell.fold == 1]
    assert len(first_fold) == len(design.recipes)
    for index in first_fold:
        done = trainer(*asked, "--cell", str(index))
        assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines()))
    assert {row["recipe"] for row in rows} == set(design.recipes)
