"""Settings of the gateway: read from the environment, refused when wrong, documented."""

import os

import pytest

from gateway.peers import Archive
from gateway.settings import PREFIX, Settings, read_settings
from shared.runtime.environment_settings import SettingsInvalid
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_ARCHIVE", "PACS@archive.example:104")


def test_defaults_listen_to_this_machine_alone() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.title) == ("127.0.0.1", 11112, "CXRSCREEN")
    assert settings.archive == Archive("PACS", "archive.example", 104)
    assert [str(one.network) for one in settings.callers] == ["127.0.0.1/32", "::1/128"]
    assert settings.health_host == "127.0.0.1"


def test_callers_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CALLERS", "PACS@10.1.2.3, *@10.2.0.0/16")
    first, second = read_settings().callers
    assert first.is_named("PACS ")
    assert not first.is_named("OTHER")
    assert first.is_at("10.1.2.3")
    assert first.is_at("::ffff:10.1.2.3")
    assert second.is_named("ANY")
    assert second.is_at("10.2.200.1")
    assert not second.is_at("10.3.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_ARCHIVE", "PACS"),
        ("GATEWAY_ARCHIVE", "PACS@host:0"),
        ("GATEWAY_ARCHIVE", "A_TITLE_THAT_IS_TOO_LONG@host:104"),
        ("GATEWAY_SERVICE", "not an address"),
        ("GATEWAY_PORT", "abc"),
        ("GATEWAY_TITLE", "back\\slash"),
        ("GATEWAY_CALLERS", "PACS"),
        ("GATEWAY_CALLERS", "PACS@somewhere"),
        ("GATEWAY_CALLERS", ","),
        ("GATEWAY_PDU_LIMIT", "12"),
        ("GATEWAY_OTHERS", "keep"),
        ("GATEWAY_GIVE_UP_SECONDS", "-1"),
        ("GATEWAY_TLS_CERTIFICATE", "certificate.pem"),
        ("GATEWAY_CALLER", "a typing error"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=name):
        read_settings()


def test_an_archive_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ARCHIVE")
    with pytest.raises(SettingsInvalid, match="GATEWAY_ARCHIVE: it is needed"):
        read_settings()


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVICE_KEY", "s3cret")
    monkeypatch.setenv("GATEWAY_PORT", "none")
    with pytest.raises(SettingsInvalid) as invalid:
        read_settings()
    assert "s3cret" not in str(invalid.value)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_documented(field: str) -> None:
    """In the table of docs/dicom.md, with what the code says about it."""
    page = (ROOT / "docs" / "dicom.md").read_text("utf-8")
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{PREFIX}{field.upper()}`")]
    assert str(Settings.model_fields[field].description) in row
