"""The table of a study: means, spreads, and what differs by more than these."""

import csv
import io

import pytest

from trainer.studies.design import Cell, Design, parse_design
from trainer.studies.table import Entry, tabulate, write_csv, write_markdown


def design(seeds: int = 3) -> Design:
    recipes: dict[str, dict[str, int]] = {"plain": {}, "better": {}, "same": {}}
    return parse_design({"folds": 2, "seeds": list(range(seeds)), "recipes": recipes})


def figures(of: Design) -> dict[Cell, dict[str, float]]:
    """The better one is so on the first fold and on average; seeds are 0.01 apart."""
    gain = {("better", 1): 0.05, ("same", 1): 0.01}

    def area(cell: Cell) -> float:
        return 0.8 + 0.1 * cell.fold + 0.01 * cell.seed + gain.get((cell.recipe, cell.fold), 0)

    return {cell: {"roc_auc": area(cell)} for cell in of.cells}


def entry(entries: list[Entry], fold: str, recipe: str) -> Entry:
    [found] = [each for each in entries if (each.fold, each.recipe) == (fold, recipe)]
    return found


def test_means_spreads_and_what_lies_beyond_them() -> None:
    entries = tabulate(design(), figures(design()))
    assert len(entries) == 3 * 3
    assert entry(entries, "1", "plain").values == pytest.approx((0.9, 0.91, 0.92))
    assert entry(entries, "1", "plain").spread == pytest.approx(0.01)
    assert entry(entries, "all", "plain").values == pytest.approx((0.95, 0.96, 0.97))
    marks = {(each.fold, each.recipe): each.differs for each in entries if each.differs}
    assert marks == {("1", "better"): "↑", ("all", "better"): "↑"}


def test_a_lower_one_is_marked_so() -> None:
    worse = {cell: {"roc_auc": -value["roc_auc"]} for cell, value in figures(design()).items()}
    assert entry(tabulate(design(), worse), "1", "better").differs == "↓"


def test_two_seeds_are_too_few_for_marks() -> None:
    entries = tabulate(design(2), figures(design(2)))
    assert not [each for each in entries if each.differs]
    assert "Nothing is marked" in write_markdown(design(2), entries, 12)


def test_what_is_not_finished_is_left_out() -> None:
    found = figures(design())
    del found[Cell("better", 2, 0)]
    entries = tabulate(design(), found)
    assert len(entry(entries, "2", "better").values) == 2
    assert len(entry(entries, "all", "better").values) == 2  # of whole seeds alone
    assert write_markdown(design(), tabulate(design(), {}), 0) == (
        "0 of 18 cells: 2 folds x 3 seeds x 3 recipes.\n"
    )


def test_the_tables_that_are_written() -> None:
    entries = tabulate(design(), figures(design()))
    text = write_markdown(design(), entries, 18)
    assert text.startswith("18 of 18 cells: 2 folds x 3 seeds x 3 recipes.\n")
    assert "| 1 | better | 0.9600 ± 0.0100 ↑ |" in text
    assert "every seed lies above, below every seed of plain" in text
    assert "one figure in 10: of the 6 compared here, 1." in text
    assert "- roc_auc: chance that" in text
    rows = list(csv.DictReader(io.StringIO(write_csv(entries))))
    assert len(rows) == 9
    assert rows[1] == {
        "fold": "1",
        "recipe": "better",
        "figure": "roc_auc",
        "seeds": "3",
        "mean": "0.960000",
        "sd": "0.010000",
        "lowest": "0.950000",
        "highest": "0.970000",
        "differs": "above",
    }
