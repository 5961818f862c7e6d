"""Settings from the environment: what is wrong is said by the name of its variable."""

from pathlib import Path

import pytest
from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.runtime.environment_settings import SettingsInvalid, read_environment


class Lamp(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LAMP_", populate_by_name=True)

    place: Path = Field(description="where it stands")
    watts: int = Field(5, ge=1, description="how bright it is")
    port: int = Field(80, validation_alias=AliasChoices("LAMP_PORT", "PORT"))
    key: int = Field(1, repr=False, description="a secret")

    @model_validator(mode="after")
    def _fits(self) -> "Lamp":
        if self.watts > 100 and self.port == 1:
            raise ValueError("LAMP_WATTS and LAMP_PORT do not go together")
        return self


def read() -> Lamp:
    return read_environment(Lamp, "python -m lamp")


@pytest.fixture(autouse=True)
def placed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAMP_WATTS", "LAMP_PORT", "PORT", "LAMP_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAMP_PLACE", "shelf")


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMP_WATTS", "7")
    monkeypatch.setenv("PORT", "81")
    assert (read().place, read().watts, read().port) == (Path("shelf"), 7, 81)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"LAMP_WATTS": "none"}, r"LAMP_WATTS: .* \(got 'none'\)"),
        ({"LAMP_WATT": "7"}, "LAMP_WATT: no such setting; .* `python -m lamp --help`"),
        ({"LAMP_PORT": "none"}, r"LAMP_PORT, or PORT: .* \(got 'none'\)"),
        ({"PORT": "none"}, r"LAMP_PORT, or PORT: .* \(got 'none'\)"),
        ({"LAMP_WATTS": "101", "LAMP_PORT": "1"}, "^LAMP_WATTS and LAMP_PORT do not go together$"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=complaint):
        read()


def test_all_is_said_at_once_and_what_is_needed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAMP_PLACE")
    monkeypatch.setenv("LAMP_WATTS", "0")
    with pytest.raises(SettingsInvalid) as invalid:
        read()
    needed, wrong = str(invalid.value).splitlines()
    assert needed == "LAMP_PLACE: it is needed: where it stands"
    assert wrong.startswith("LAMP_WATTS: ")


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMP_KEY", "s3cret")
    with pytest.raises(SettingsInvalid, match="LAMP_KEY") as invalid:
        read()
    assert "s3cret" not in str(invalid.value)
