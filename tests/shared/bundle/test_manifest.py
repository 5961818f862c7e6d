"""What a manifest may say."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.bundle.manifest import Calibration, Draft, OperatingPoint, Refusal
from shared.labels import LABELS
from shared.preprocessing import INPUT_SIZE

POINT = OperatingPoint(threshold=0.5, rule="fixed", low=0.4, high=0.6)


def test_defaults_follow_the_contract() -> None:
    draft = json.loads(Draft(operating_point=POINT).model_dump_json())
    assert draft["labels"] == list(LABELS)
    assert draft["input"] == {"size": INPUT_SIZE, "channels": 1, "scaling": "unit"}
    assert draft["heads"] == ["pneumonia"]
    assert draft["calibration"] == {"temperature": 1.0, "bias": 0.0}


def test_a_manifest_of_before_says_of_nothing_that_it_is_lacking() -> None:
    fields = json.loads(Draft(operating_point=POINT, lacks=("refusal",)).model_dump_json())
    assert fields.pop("lacks") == ["refusal"]
    assert Draft.model_validate(fields).lacks == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"heads": ("viral", "pneumonia")},
        {"heads": ()},
        {"heads": ("pneumonia", "pneumonia")},
        {"heads": ("pneumonia", "tuberculosis")},
        {"labels": ("PNEUMONIA", "NORMAL")},
        {"cause_calibration": Calibration()},
        {"refusal": Refusal(minimum=0.0, rule="none")},
        {"unknown": 1},
    ],
    ids=str,
)
def test_contradictions_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Draft.model_validate({"operating_point": POINT, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"low": 0.7},
        {"high": 1.1},
        {"low": -0.1},
    ],
    ids=str,
)
def test_operating_points_outside_their_range(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        OperatingPoint.model_validate({**POINT.model_dump(), **fields})


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_temperatures_outside_their_range(temperature: float) -> None:
    with pytest.raises(ValidationError):
        Calibration(temperature=temperature)


def test_nothing_changes_after_it_was_made() -> None:
    with pytest.raises(ValidationError):
        POINT.threshold = 0.1  # type: ignore[misc]
