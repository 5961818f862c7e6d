"""A program's settings, read from the environment: all that is wrong is said at once, by name."""

import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

Settings = TypeVar("Settings", bound=BaseModel)


class SettingsInvalid(ValueError):
    """A setting is wrong; the message names each one, what it got and what it accepts."""


def read_environment(
    kind: type[Settings],
    program: str,
    prefix: str,
    secrets: Collection[str] = (),
) -> Settings:
    """Reads settings, each the variable `<prefix><FIELD>`.

    Args:
        kind: The settings: a `BaseSettings` that reads variables with this prefix.
        program: What lists them, with `--help` after it.
        prefix: What the names of their variables begin with.
        secrets: Fields whose values must not appear in a message.

    Raises:
        SettingsInvalid: A value is wrong or missing, or a name unknown; the message lists all.
    """
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
        complaints.extend(_complaint(kind, prefix, secrets, error) for error in errors)
    if complaints or settings is None:
        raise SettingsInvalid("\n".join(complaints))
    return settings


def _complaint(
    kind: type[BaseModel], prefix: str, secrets: Collection[str], error: Mapping[str, Any]
) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:  # of several settings together: the message names them
        return message
    field = str(error["loc"][0]).removeprefix(prefix).lower()
    about = kind.model_fields.get(field)
    names = [prefix + field.upper()]
    if about is not None and isinstance(about.validation_alias, AliasChoices):
        names = [str(name) for name in about.validation_alias.choices]
    if error["type"] == "missing" and about is not None:
        message = f"it is needed: {about.description}"
    elif field not in secrets:
        message += f" (got {str(error['input'])[:80]!r})"
    return f"{', or '.join(names)}: {message}"
