"""A program's settings, read from the environment: all that is wrong is said at once, by name."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode

Settings = TypeVar("Settings", bound=BaseSettings)


def split(value: object) -> object:
    """The words of a text, which commas separate; anything else as it is.

    Raises:
        ValueError: There are none.
    """
    if not isinstance(value, str):
        return value
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    if not words:  # a service that is to ask for keys must not open to all
        raise ValueError("there is nothing in it but commas and spaces; name some, or unset it")
    return words


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
"""A setting of several words, separated by commas."""


class SettingsInvalid(ValueError):
    """A setting is wrong; the message names each one, what it got and what it accepts."""


def list_settings(kind: type[BaseSettings]) -> str:
    """Settings and what they are, for `--help`."""
    lines = ["settings, read from the environment:"]
    for name, field in kind.model_fields.items():
        lines.append(f"  {_prefix(kind)}{name.upper():22} {field.description}")
    return "\n".join(lines)


def read_environment(kind: type[Settings], program: str) -> Settings:
    """Reads settings, each the variable `<prefix><FIELD>`.

    Args:
        kind: The settings. What a `repr` leaves out is a secret: no message shows its value.
        program: What lists them, with `--help` after it.

    Raises:
        SettingsInvalid: A value is wrong or missing, or a name unknown; the message lists all.
    """
    prefix = _prefix(kind)
    known = {prefix + field.upper() for field in kind.model_fields}
    complaints = [
        f"{name}: no such setting; the settings are listed by `{program} --help`"
        for name in sorted(os.environ)
        if name.upper().startswith(prefix) and name.upper() not in known
    ]
    settings = None
    try:
        settings = kind()
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)
        complaints.extend(_complaint(kind, error) for error in errors)
    if complaints or settings is None:
        raise SettingsInvalid("\n".join(complaints))
    return settings


def _prefix(kind: type[BaseSettings]) -> str:
    return str(kind.model_config["env_prefix"])


def _complaint(kind: type[BaseSettings], error: Mapping[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:  # of several settings together: the message names them
        return message
    field = str(error["loc"][0]).removeprefix(_prefix(kind)).lower()
    about = kind.model_fields.get(field)
    names = [_prefix(kind) + field.upper()]
    if about is not None and isinstance(about.validation_alias, AliasChoices):
        names = [str(name) for name in about.validation_alias.choices]
    if error["type"] == "missing" and about is not None:
        message = f"it is needed: {about.description}"
    elif about is None or about.repr:
        message += f" (got {str(error['input'])[:80]!r})"
    return f"{', or '.join(names)}: {message}"
