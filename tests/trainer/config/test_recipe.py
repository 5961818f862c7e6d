"""The knobs of a run: complete, explained, and refused where they make no sense."""

import re
from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from trainer.config.knobs import explain
from trainer.config.recipe import Recipe


def test_every_knob_has_a_unit_and_a_reason() -> None:
    for item in fields(Recipe):
        assert item.metadata["unit"], item.name
        assert len(item.metadata["help"]) > 20, item.name


def test_widths_and_sizes_are_read() -> None:
    recipe = Recipe(widths="8-16-24-32", sizes="128-64")
    assert recipe.stage_widths == (8, 16, 24, 32)
    assert [member.sizes for member in recipe.members()] == ["128", "64"]


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("widths", "8-16"),
        ("widths", "a-b-c-d"),
        ("stem", 0),
        ("sizes", "100"),
        ("sizes", ""),
        ("crop", 0.0),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("dropout", 1.0),
        ("averaging", -0.1),
        ("flip", 1.5),
        ("rotation", -5.0),
        ("blur", -1.0),
        ("mixup", float("nan")),
        ("weight_decay", float("inf")),
    ],
)
def test_a_knob_without_sense_is_refused_by_name(knob: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Recipe(**{knob: value})
    assert re.match(f"{knob}: received .*{value}.*accepts .+", explain(refused.value, Recipe))
