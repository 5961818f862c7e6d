"""Settings: read from the environment, refused when wrong."""

import os
from pathlib import Path

import pytest

from service.settings import Settings, read_settings
from shared.runtime.environment_settings import SettingsInvalid


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name == "PORT" or name.startswith("XRAY_"):
            monkeypatch.delenv(name)


def test_defaults_serve_on_this_machine_only() -> None:
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.cores >= 1
    assert settings.api_keys == settings.cors_origins == ()


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PORT": "9001",
        "XRAY_MODELS": "/srv/models",
        "XRAY_BODY_LIMIT": "2MiB",
        "XRAY_API_KEYS": "one, two",
        "XRAY_ROOT_PATH": "/xray/",
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.port == 9001
    assert settings.models == Path("/srv/models")
    assert settings.body_limit == 2 * 2**20
    assert settings.api_keys == ("one", "two")
    assert settings.root_path == "/xray"


def test_the_own_variable_outweighs_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("XRAY_PORT", "9002")
    assert read_settings().port == 9002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XRAY_PORT", "abc"),
        ("PORT", "70000"),
        ("XRAY_CORES", "0"),
        ("XRAY_BODY_LIMIT", "lots"),
        ("XRAY_ROOT_PATH", "xray"),
        ("XRAY_LOG_LEVEL", "loud"),
        ("XRAY_ANSWER_SECONDS", "-1"),
        ("XRAY_API_KEY", "a typing error"),
        ("XRAY_DATA", "a variable of the tests"),
        ("XRAY_API_KEYS", " , "),
        ("XRAY_API_KEYS", " "),
        ("XRAY_CORS_ORIGINS", ","),
        ("XRAY_CORS_ORIGINS", "foo bar"),
        ("XRAY_CORS_ORIGINS", "https://ward.example, ward.example"),
        ("XRAY_CORS_ORIGINS", "https://ward.example https://other.example"),
        ("XRAY_CORS_ORIGINS", "https://ward.example/"),
        ("XRAY_CORS_ORIGINS", "https://Ward.example"),
        ("XRAY_CORS_ORIGINS", "https://ward.example:443"),
        ("XRAY_CORS_ORIGINS", "http://ward.example:80"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=name):
        read_settings()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://ward.example",
        "https://ward.example:80",
        "http://10.0.0.7:3000",
        "http://[::80]",
        "http://[::1]:3000",
        "moz-extension://0f3a6c1d-9b2e",
    ],
)
def test_whatever_a_browser_may_send_as_an_origin_is_accepted(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("XRAY_CORS_ORIGINS", f"https://other.example, {origin}")
    assert read_settings().cors_origins == ("https://other.example", origin)


def test_a_wrong_origin_is_told_what_one_looks_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_CORS_ORIGINS", "https://ward.example, foo bar")
    with pytest.raises(SettingsInvalid, match=r"'foo bar' is never .* https://ward.example"):
        read_settings()


def test_an_empty_value_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass variables on that are not set."""
    monkeypatch.setenv("XRAY_API_KEYS", "")
    assert read_settings().api_keys == ()


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_API_KEYS", "secret, sha256:0011")
    settings = read_settings()
    assert settings.api_keys == ("secret", "sha256:0011")
    for shown in (repr(settings), str(settings), f"{settings!r:.9999}"):
        assert "secret" not in shown
        assert "0011" not in shown


def test_all_complaints_come_at_once_and_keys_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XRAY_CORES", "none")
    monkeypatch.setenv("XRAY_QUEUE", "0")
    monkeypatch.setenv("XRAY_API_KEYS", "secret")
    with pytest.raises(SettingsInvalid) as invalid:
        read_settings()
    assert "XRAY_CORES" in str(invalid.value)
    assert "XRAY_QUEUE" in str(invalid.value)
    assert "secret" not in str(invalid.value)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
