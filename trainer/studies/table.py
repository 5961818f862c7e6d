"""What a study found: mean and spread over the seeds, and what differs by more than the spread."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb
from statistics import mean, stdev

from trainer.studies.design import Cell, Design
from trainer.studies.figures import FIGURES

ALL = "all"
_CHANCE = 0.1  # at most, that of equal recipes a figure is marked


@dataclass(frozen=True)
class Entry:
    """One figure of a recipe on a fold.

    Attributes:
        fold: "1", "2"...; "all": of each seed the mean over the folds.
        recipe: Its name.
        figure: One of `FIGURES`.
        values: One for each seed that is finished; at least one.
        differs: "↑" where every seed lies above every seed of the first recipe, "↓" below, else "".
    """

    fold: str
    recipe: str
    figure: str
    values: tuple[float, ...]
    differs: str = ""

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds, of two or more."""
        return stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.4f}"
        return f"{mean(self.values):.4f}{spread}{self.differs and f' {self.differs}'}"


def tabulate(design: Design, figures: Mapping[Cell, Mapping[str, float]]) -> list[Entry]:
    """Sort the figures of the cells that are finished.

    Args:
        design: Of the study.
        figures: By cell, each by name.

    Returns:
        An entry for each fold and then for all, recipe and figure that has any value.
    """
    folds = range(1, design.folds + 1)
    found: list[Entry] = []
    for fold, of in [*((str(number), [number]) for number in folds), (ALL, folds)]:
        for figure in FIGURES:
            values: dict[str, list[float]] = {recipe: [] for recipe in design.recipes}
            for recipe, seed in product(design.recipes, design.seeds):
                cells = [figures.get(Cell(recipe, each, seed), {}) for each in of]
                if all(figure in cell for cell in cells):
                    values[recipe].append(mean(cell[figure] for cell in cells))
            first = next(iter(values.values()))
            found += [
                Entry(fold, name, figure, tuple(own), _differs(own, first))
                for name, own in values.items()
                if own
            ]
    return found


def _differs(own: Sequence[float], first: Sequence[float]) -> str:
    """Whether all of one lie beyond all of the other: the extreme case of the rank-sum test
    (Wilcoxon, Biometrics Bulletin 1, 1945), where seeds are enough for it to mean something."""
    if not own or not first or _chance(len(own), len(first)) > _CHANCE:
        return ""
    return "↑" if min(own) > max(first) else "↓" if max(own) < min(first) else ""


def _chance(own: int, first: int) -> float:
    """How often all of one lie beyond all of the other, if both are of the same kind."""
    return 2 / comb(own + first, own)


def write_markdown(design: Design, entries: Sequence[Entry], finished: int) -> str:
    """The table for people, with what its columns and marks mean."""
    if not entries:
        return f"{finished} of {design.describe()}.\n"
    shown = [name for name in FIGURES if any(entry.figure == name for entry in entries)]
    cells = {(entry.fold, entry.recipe, entry.figure): entry for entry in entries}
    rows = [
        f"| {fold} | {recipe} | "
        + " | ".join(str(cells.get((fold, recipe, figure), "")) for figure in shown)
        + " |"
        for fold in dict.fromkeys(entry.fold for entry in entries)
        for recipe in design.recipes
        if any((fold, recipe, figure) in cells for figure in shown)
    ]
    lines = [
        f"{finished} of {design.describe()}.",
        "",
        f"| fold | recipe | {' | '.join(shown)} |",
        "|---|---|" + "---|" * len(shown),
        *rows,
        "",
        f"Mean ± standard deviation over the seeds. {_marks(design, entries)}",
        "",
        *(f"- {name}: {FIGURES[name]}" for name in shown),
    ]
    return "\n".join(lines) + "\n"


def _marks(design: Design, entries: Sequence[Entry]) -> str:
    first, *others = design.recipes
    chance = _chance(len(design.seeds), len(design.seeds))
    if not others:
        return "There is nothing to compare with."
    if chance > _CHANCE:
        return "Nothing is marked: with fewer than three seeds chance alone would do it."
    compared = sum(entry.recipe != first for entry in entries)
    return (
        f"↑ ↓: every seed lies above, below every seed of {first} on that fold. Of equal recipes "
        f"chance marks one figure in {1 / chance:.0f}: of the {compared} compared here, "
        f"{compared * chance:.0f}."
    )


def write_csv(entries: Sequence[Entry]) -> str:
    """The table for programs: a row for each entry."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("fold", "recipe", "figure", "seeds", "mean", "sd", "lowest", "highest", "differs")
    writer.writerow(columns)
    marks = {"↑": "above", "↓": "below", "": ""}
    for entry in entries:
        spread = "" if entry.spread is None else f"{entry.spread:.6f}"
        low, high = min(entry.values), max(entry.values)
        figures = (f"{mean(entry.values):.6f}", spread, f"{low:.6f}", f"{high:.6f}")
        place = (entry.fold, entry.recipe, entry.figure, len(entry.values))
        writer.writerow([*place, *figures, marks[entry.differs]])
    return text.getvalue()
