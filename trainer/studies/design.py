"""The design of a study: which recipes are compared, on how many folds, by which seeds.

folds = 3                # parts of the training folder, by patient; the same for every seed
seeds = [0, 1, 2]

[all]                    # what every recipe begins with, in place of the defaults of `fit`
sizes = "96"

[recipes.plain]          # the others are compared with the first

[recipes.no-crops]
crop = 1.0
"""

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from trainer.config.knobs import explain
from trainer.config.options import Machines, Options
from trainer.config.recipe import Recipe
from trainer.errors import TrainerError

Checked = TypeVar("Checked", Options, Recipe)

_TOP = ("folds", "seeds", "limit", "all", "recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LARGEST_SEED = 10**6


@dataclass(frozen=True)
class Variant:
    """One of the recipes that are compared, and what becomes of machines that stand for a class."""

    recipe: Recipe
    machines: Machines


@dataclass(frozen=True)
class Cell:
    """One training: a recipe on one fold, by one seed. Folds count from 1."""

    recipe: str
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.recipe}-fold-{self.fold}-seed-{self.seed}"

    def __str__(self) -> str:
        return f"{self.recipe}, fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class Design:
    """What is trained.

    Attributes:
        folds: Into how many parts the patients are cut; each is held out once.
        seeds: Of weights, batches and dropout.
        limit: Images of each class to use; 0: all.
        recipes: By name; the first is what the others are compared with.
    """

    folds: int
    seeds: tuple[int, ...]
    limit: int
    recipes: dict[str, Variant]

    @property
    def cells(self) -> list[Cell]:
        """All of them, in the order of their numbers: recipes on one fold can be compared soon."""
        crossed = product(self.seeds, range(1, self.folds + 1), self.recipes)
        return [Cell(recipe, fold, seed) for seed, fold, recipe in crossed]

    def describe(self) -> str:
        """How many cells there are, and why."""
        return (
            f"{len(self.cells)} cells: {self.folds} folds x {len(self.seeds)} seeds x "
            f"{len(self.recipes)} recipes"
        )

    def to_json(self) -> dict[str, Any]:
        """The design as plain values: every knob of every recipe, defaults too."""
        return {
            "folds": self.folds,
            "seeds": list(self.seeds),
            "limit": self.limit,
            "recipes": {
                name: {"machines": variant.machines, **variant.recipe.to_json()}
                for name, variant in self.recipes.items()
            },
        }


def read_design(path: Path) -> Design:
    """Read `study.toml`.

    Raises:
        TrainerError: It cannot be read, or holds what a study cannot have; the message names the
            key, what was received and what is accepted.
    """
    try:
        return parse_design(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainerError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise TrainerError(
            f"{path} cannot be read: {error.strerror or error}. Give a file that says what to "
            "compare, such as that in docs/scaling.md."
        ) from error
    except TrainerError as error:
        raise TrainerError(f"{path}: {error}") from error


def parse_design(said: dict[str, Any]) -> Design:
    """Check what `study.toml` or a plan says.

    Raises:
        TrainerError: As `read_design` does, without the path.
    """
    _refuse_unknown(said, _TOP)
    options = _checked(Options, "", {key: said[key] for key in ("folds", "limit") if key in said})
    seeds = said.get("seeds", [options.seed])
    if not (
        isinstance(seeds, list)
        and seeds
        and all(type(seed) is int and 0 <= seed <= _LARGEST_SEED for seed in seeds)
        and len(set(seeds)) == len(seeds)
    ):
        raise TrainerError(
            f"seeds: received {seeds!r}; accepts one or more different whole numbers, such as "
            "[0, 1, 2]"
        )
    for_all = _table(said.get("all", {}), "all")
    _variant(for_all, "all.")
    recipes = _table(said.get("recipes", {}), "recipes")
    if not recipes:
        raise TrainerError(
            "recipes: received none; accepts a table for each, such as [recipes.plain], with what "
            "differs from the defaults of `fit`"
        )
    for name in recipes:
        if not _NAME.fullmatch(name):
            raise TrainerError(
                f"recipes: received the name {name!r}; accepts up to 40 letters, digits, - and _"
            )
    variants = {
        name: _variant(for_all | _table(own, f"recipes.{name}"), f"recipes.{name}.")
        for name, own in recipes.items()
    }
    return Design(options.folds, tuple(seeds), options.limit, variants)


def _variant(said: dict[str, Any], where: str) -> Variant:
    own = [item.name for item in fields(Recipe)]
    _refuse_unknown(said, ("machines", *own), where)
    recipe = _checked(Recipe, where, {key: said[key] for key in own if key in said})
    options = _checked(Options, where, {k: said[k] for k in ("machines",) if k in said})
    return Variant(recipe, options.machines)


def _checked(of: type[Checked], where: str, said: dict[str, Any]) -> Checked:
    """The same checks as those of the command line."""
    try:
        return of(**said)
    except ValidationError as error:
        raise TrainerError(where + explain(error, of)) from error


def _table(said: Any, where: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise TrainerError(f"{where}: received {said!r}; accepts a table, [{where}]")
    return said


def _refuse_unknown(said: Iterable[str], known: tuple[str, ...], where: str = "") -> None:
    for key in said:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise TrainerError(
                f"{where}{key}: received a key that is not known{meant} Accepted are "
                f"{', '.join(known)}"
            )
