"""Everything that an operator of the gateway can set, read from the environment once, at start.

Each field is the variable `GATEWAY_<FIELD>`. A wrong value, or a variable that starts with
`GATEWAY_` and is no setting, stops the start with a message that names it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    HttpUrl,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.peers import Archive, Caller, valid_title
from shared.runtime.environment_settings import read_environment, split

PREFIX = "GATEWAY_"
MIB = 1024 * 1024

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Title = Annotated[str, AfterValidator(valid_title)]
Titles = Annotated[tuple[Title, ...], NoDecode, BeforeValidator(split)]


def _parsed_by(parse: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Peer = Annotated[Archive, NoDecode, _parsed_by(Archive.parse)]
Callers = Annotated[
    tuple[Annotated[Caller, _parsed_by(Caller.parse)], ...], NoDecode, BeforeValidator(split)
]


class Settings(BaseSettings):
    """The gateway's settings; times in seconds, sizes in bytes (`16MiB` is understood)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        arbitrary_types_allowed=True,
    )

    archive: Peer = Field(description="where results go, as `TITLE@host:port`; there is no default")
    service: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:8000"), description="address of the screening service"
    )
    service_key: SecretStr | None = Field(
        None, repr=False, description="the service's API key, if it asks for one"
    )
    service_seconds: Seconds = Field(60, description="the service answers within this")
    screenings: int = Field(
        4, ge=1, le=64, description="images that the service is asked about at once"
    )
    deliveries: int = Field(2, ge=1, le=16, description="associations with the archive at once")

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(
        11112, ge=0, le=65535, description="port to listen on for DICOM; 0 takes a free one"
    )
    title: Title = Field("CXRSCREEN", description="the gateway's own AE title")
    called_titles: Titles = Field(
        (), description="further titles that it answers to, separated by commas"
    )
    callers: Callers = Field(
        (Caller.parse("*@127.0.0.1"), Caller.parse("*@::1")),
        description="who may connect: `TITLE@address`, separated by commas; `*` is any title, an "
        "address may be a network such as 10.1.0.0/16",
    )
    associations: int = Field(8, ge=1, le=256, description="associations open at once")
    pdu_limit: ByteSize = Field(
        ByteSize(131072), ge=4096, le=4 * MIB, description="largest PDU that is taken"
    )
    negotiation_seconds: Seconds = Field(
        30, description="an association must be negotiated, and released, within this"
    )
    message_seconds: Seconds = Field(60, description="an answer to a message comes within this")
    idle_seconds: Seconds = Field(60, description="a connection on which nothing comes is closed")
    tls_certificate: Path | None = Field(
        None, description="file with the gateway's certificate (PEM): TLS alone is spoken then"
    )
    tls_key: Path | None = Field(None, description="file with the certificate's key (PEM)")
    tls_authority: Path | None = Field(
        None, description="file with the certificates (PEM) that peers' own must be signed by"
    )
    archive_tls: bool = Field(False, description="whether the archive is spoken to over TLS")

    spool: Path = Field(Path("spool"), description="folder for what is not yet delivered")
    spool_reserve: ByteSize = Field(
        ByteSize(256 * MIB),
        ge=MIB,
        description="space to leave free on the spool's disk: below it images are refused (A700)",
    )
    remember_days: float = Field(
        30, gt=0, le=3650, description="an image that comes again within this is not screened again"
    )
    rescreen: bool = Field(
        False, description="screen an image that comes again, if the model has changed"
    )
    others: Literal["drop", "refuse"] = Field(
        "drop", description="what to do with objects that are no CR or DX image"
    )
    report_refusals: bool = Field(
        False, description="send a report that says why, where the service refuses an image"
    )
    report_class: Literal["auto", "comprehensive3d", "enhanced"] = Field(
        "auto", description="SOP class of the report; `auto`: Enhanced SR where 3D is not taken"
    )

    retry_seconds: Seconds = Field(1, description="pause after a failed try; it doubles each time")
    retry_longest_seconds: Seconds = Field(60, description="but is never longer than this")
    give_up_seconds: Seconds = Field(
        86400, description="what failed for this long goes to the list of failures"
    )

    health_host: str = Field("127.0.0.1", description="address of probes and metrics")
    health_port: int = Field(
        8001, ge=0, le=65535, description="port of probes and metrics; 0 takes a free one"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text to a terminal and JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")

    @model_validator(mode="after")
    def _tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS needs both GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY")
        return self


def read_settings() -> Settings:
    """Reads the settings from the environment.

    Raises:
        SettingsInvalid: A value is wrong or missing, or a name unknown; the message lists all.
    """
    return read_environment(Settings, "python -m gateway")
