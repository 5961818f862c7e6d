"""Everything an operator can set, read from the environment once, at start.

Each field is the variable `XRAY_<FIELD>`; `PORT` is honoured too, because cloud platforms set it. A
wrong value, or a variable that starts with `XRAY_` and is no setting, stops the start with a
message that names it.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, ByteSize, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.runtime.cpus import usable_cores
from shared.runtime.environment_settings import Words, read_environment

PREFIX = "XRAY_"
ROOT = Path(__file__).resolve().parent.parent

MIB = 1024 * 1024
FORM_OVERHEAD = 16 * 1024
"""Bytes that a form may add to its file: boundaries, headers, a key."""

# As a browser writes it (RFC 6454, section 6.2), as they are compared letter by letter.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d{1,5})?|\*|null")
_WITH_DEFAULT_PORT = re.compile(r"http:.*:80|https:.*:443")

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseSettings):
    """The service's settings; times in seconds, sizes in bytes (`16MiB` is understood)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, populate_by_name=True
    )

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("XRAY_PORT", "PORT"),
        description="port to listen on (`PORT` is read too); 0 takes a free one",
    )
    models: Path = Field(
        ROOT / "models", description="folder with the bundles and the file `current` that names one"
    )

    cores: int = Field(
        default_factory=usable_cores,
        ge=1,
        le=256,
        description="images worked on at once; as many as the container may use, unless set",
    )
    queue: int = Field(
        16, ge=1, le=10_000, description="images that may wait; beyond it the answer is 503"
    )
    body_limit: ByteSize = Field(ByteSize(16 * MIB), ge=1024, description="largest upload")
    decoded_budget: ByteSize = Field(
        ByteSize(128 * MIB), ge=MIB, description="bytes that decoding may take, all together"
    )

    answer_seconds: Seconds = Field(
        30, description="once uploaded, an image is answered within this, or refused"
    )
    drain_seconds: float = Field(
        1.0, ge=0, le=3600, description="after SIGTERM: not ready, still serving, for this long"
    )
    grace_seconds: Seconds = Field(8, description="then what is in flight may take this long")

    api_keys: Words = Field(
        (), repr=False, description="accepted keys, separated by commas; none: no key asked"
    )
    api_keys_file: Path | None = Field(
        None, repr=False, description="file with a key a line, plain or as `sha256:<hex>`"
    )
    cors_origins: Words = Field(
        (), description="origins that browsers may call from, or `*`; none: CORS off"
    )
    root_path: str = Field("", description="path prefix under which a proxy offers the service")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text to a terminal and JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin) or _WITH_DEFAULT_PORT.fullmatch(origin):
                raise ValueError(
                    f"{origin[:80]!r} is never a page's origin; one is scheme://host[:port] in "
                    "lower case, such as https://ward.example: without path, slash at its end or "
                    "the scheme's usual port; put commas between several; * is any"
                )
        return value

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if prefix and not prefix.startswith("/"):
            raise ValueError("a prefix begins with a slash, such as /xray")
        return prefix


def read_settings() -> Settings:
    """Reads the settings from the environment.

    Raises:
        SettingsInvalid: A value is wrong or a name unknown; the message lists all of them.
    """
    return read_environment(Settings, "python -m service")
