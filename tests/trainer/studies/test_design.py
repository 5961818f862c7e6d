"""What `study.toml` may hold, and what is said of the rest."""

from pathlib import Path

import pytest

from trainer.config.recipe import Recipe
from trainer.errors import TrainerError
from trainer.studies.design import Cell, parse_design, read_design

WHOLE = """
folds = 2
seeds = [3, 1]
limit = 40

[all]
epochs = 4
crop = 1

[recipes.plain]

[recipes.crops]
crop = 0.5
machines = "keep"
"""


def read(text: str, folder: Path) -> object:
    path = folder / "study.toml"
    path.write_text(text)
    return read_design(path)


def test_recipes_are_what_all_have_and_what_is_their_own(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(WHOLE)
    design = read_design(path)
    assert (design.folds, design.seeds, design.limit) == (2, (3, 1), 40)
    assert design.recipes["plain"].recipe == Recipe(epochs=4, crop=1.0)
    assert design.recipes["plain"].machines == "leave-out"
    assert design.recipes["crops"].recipe == Recipe(epochs=4, crop=0.5)
    assert design.recipes["crops"].machines == "keep"
    assert parse_design(design.to_json()) == design


def test_cells_are_all_combinations_and_their_names_differ(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(WHOLE)
    cells = read_design(path).cells
    assert cells[:3] == [Cell("plain", 1, 3), Cell("crops", 1, 3), Cell("plain", 2, 3)]
    assert len(cells) == 2 * 2 * 2 == len({cell.name for cell in cells})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("folds = 1\n[recipes.a]", ("folds: received 1; accepts 2 or more",)),
        ("folds = 2.0\n[recipes.a]", ("folds: received 2.0",)),
        ("fold = 3\n[recipes.a]", ("fold: received a key", "did you mean folds?", "seeds, limit")),
        ("seeds = 3\n[recipes.a]", ("seeds: received 3; accepts", "[0, 1, 2]")),
        ("seeds = [1, 1]\n[recipes.a]", ("seeds: received [1, 1]", "different")),
        ("seeds = [true]\n[recipes.a]", ("seeds: received [True]", "whole numbers")),
        ("seeds = []\n[recipes.a]", ("seeds: received []",)),
        ("folds = 3", ("recipes: received none", "[recipes.plain]")),
        ("recipes = 3", ("recipes: received 3; accepts a table",)),
        ("[recipes]\na = 3", ("recipes.a: received 3; accepts a table, [recipes.a]",)),
        ("[recipes.'../a']", ("received the name '../a'", "letters")),
        ("[recipes.a]\nepochs = 0", ("recipes.a.epochs: received 0; accepts 1 or more",)),
        ("[recipes.a]\nepochs = true", ("recipes.a.epochs: received True; accepts",)),
        ("[recipes.a]\ncrop = nan", ("recipes.a.crop: received nan; accepts",)),
        ("[recipes.a]\nsizes = 96", ("recipes.a.sizes: received 96; accepts",)),
        ("[recipes.a]\nsizes = '95'", ("recipes.a.sizes: received '95'; accepts", "160-96")),
        ("[recipes.a]\nmachines = 'drop'", ("recipes.a.machines: received 'drop'", "'weigh'")),
        ("[recipes.a]\nepoch = 3", ("recipes.a.epoch: received", "did you mean epochs?")),
        ("[all]\nepochs = 0\n[recipes.a]", ("all.epochs: received 0",)),
        ("folds = = 3", ("is not TOML", "line 1")),
    ],
)
def test_what_is_wrong_is_named(text: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(TrainerError) as refused:
        read(text, tmp_path)
    for part in (str(tmp_path / "study.toml"), *parts):
        assert part in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"none\.toml cannot be read: No such file"):
        read_design(tmp_path / "none.toml")
