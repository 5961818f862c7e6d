"""What options and recipe are made of: a value with its range, its unit and the reason for it."""

from dataclasses import field
from typing import Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, ValidationError

FINITE = ConfigDict(allow_inf_nan=False, strict=True)

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1)]

_BOUNDS = {
    "ge": "{:g} or more",
    "gt": "more than {:g}",
    "le": "at most {:g}",
    "lt": "less than {:g}",
}


def knob(default: Any, unit: str, reason: str) -> Any:
    """Declare one field, whose annotation says its range.

    Args:
        default: Value of a run that does not set it; its type is the type of the option.
        unit: What the number counts, or the range that it lives in.
        reason: Why this default, in a few words.
    """
    return field(default=default, metadata={"unit": unit, "help": f"{reason} ({unit})"})


def explain(error: ValidationError, of: type) -> str:
    """The first value out of its range: its name, what was received and what is accepted.

    Args:
        error: What making an `of` raised.
        of: A pydantic dataclass.
    """
    first = error.errors(include_url=False)[0]
    name, context = str(first["loc"][0]), first.get("ctx", {})
    accepted = context.get("error") or context.get("expected") or _range(of, name)
    return f"{name}: received {first['input']!r}; accepts {accepted}"


def _range(of: type, name: str) -> str:
    hint = get_type_hints(of, include_extras=True)[name]
    bounds = [bound for info in getattr(hint, "__metadata__", ()) for bound in info.metadata]
    said = [
        text.format(getattr(bound, word))
        for bound in bounds
        for word, text in _BOUNDS.items()
        if hasattr(bound, word)
    ]
    return ", ".join(said) or f"a value such as {getattr(of, name)!r}"
