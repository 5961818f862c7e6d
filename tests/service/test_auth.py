"""API keys: who comes in, and what stays open."""

import hashlib
from pathlib import Path

import pytest

from service.auth import Keys
from service.settings import Settings
from shared.runtime.environment_settings import SettingsInvalid
from tests.service.api.test_refusals import expect
from tests.service.conftest import Start
from tests.service.tiny_bundle import NORMAL_LIKE

HASHED = "sha256:" + hashlib.sha256(b"third").hexdigest()


def test_a_known_key_opens_and_any_other_does_not(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# for the radiology department\n{HASHED}\nsecond\n\n")
    client = start(api_keys=("first",), api_keys_file=file)
    for key in ("first", "second", "third"):
        headers = {"X-API-Key": key}
        assert client.post("/predict", content=NORMAL_LIKE, headers=headers).status_code == 200
    for wrong in ({}, {"X-API-Key": ""}, {"X-API-Key": "First"}, {"X-API-Key": HASHED}):
        expect(client.post("/predict", content=NORMAL_LIKE, headers=wrong), 401, "key-required")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/model", "/docs", "/openapi.json"])
def test_what_concerns_no_patient_stays_open(start: Start, path: str) -> None:
    assert start(api_keys=("key",)).get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/explain"), ("GET", "/metrics")],
)
def test_everything_else_is_closed(start: Start, method: str, path: str) -> None:
    expect(start(api_keys=("key",)).request(method, path), 401, "key-required")


def test_a_key_may_come_as_prometheus_sends_it(start: Start) -> None:
    """RFC 6750, section 2.1; what a proxy asks for by itself is none of the service's keys."""
    client = start(api_keys=("key",))
    for sent, status in (("Bearer key", 200), ("bearer key", 200), ("Bearer other", 401)):
        assert client.get("/metrics", headers={"Authorization": sent}).status_code == status
    both = {"Authorization": "Basic a2V5OmtleQ==", "X-API-Key": "key"}
    assert client.get("/metrics", headers=both).status_code == 200
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {one["type"] for one in schemes.values()} == {"apiKey", "http"}


def test_the_page_without_script_takes_no_image_without_a_key(start: Start) -> None:
    """Neither as a form nor as the body itself, which is refused before it is read."""
    client = start(api_keys=("key",))
    file = {"file": NORMAL_LIKE}
    assert client.post("/", files=file).status_code == 401
    assert client.post("/", files=file, data={"key": "other"}).status_code == 401
    assert client.post("/", files=file, data={"key": "key"}).status_code == 200
    unread = client.post("/", content=NORMAL_LIKE)
    assert unread.status_code == 401
    assert "Server-Timing" not in unread.headers
    headers = {"X-API-Key": "key"}
    assert client.post("/", content=NORMAL_LIKE, headers=headers).status_code == 200


def test_the_document_asks_for_a_key_only_where_one_is_needed(start: Start) -> None:
    open_to_all = start().get("/openapi.json").json()
    client = start(api_keys=("key",))
    closed = client.get("/openapi.json").json()
    assert "securitySchemes" not in open_to_all["components"]
    for method, path in (("post", "/predict"), ("get", "/metrics")):
        described = closed["paths"][path][method]["responses"]["401"]
        refused = client.request(method, path)
        for header in described["headers"].keys() - {"Server-Timing"}:
            assert header in refused.headers
        (shown,) = described["content"]["application/problem+json"]["examples"].values()
        example = closed["components"]["examples"][shown["$ref"].rpartition("/")[2]]["value"]
        for member in ("type", "title", "status"):
            assert refused.json()[member] == example[member]
    assert "security" not in closed["paths"]["/livez"]["get"]


def test_keys_are_not_kept_in_plain() -> None:
    assert "hidden" not in repr(vars(Keys({"a test": "hidden"})))


@pytest.mark.parametrize("key", ["sha256:", "sha256:abc", "sha256:" + "g" * 64])
def test_a_malformed_hash_stops_the_start(key: str) -> None:
    with pytest.raises(SettingsInvalid, match="64"):
        Keys({"a test": key})


@pytest.mark.parametrize("key", ["clé", "ключ", "two\nlines"])
def test_a_key_that_no_header_carries_stops_the_start(key: str) -> None:
    with pytest.raises(SettingsInvalid, match="ASCII") as invalid:
        Keys({"a test": key})
    assert key not in str(invalid.value)


def test_a_missing_or_empty_key_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing yet\n")
    for name in ("missing", "empty"):
        with pytest.raises(SettingsInvalid, match=name):
            Keys.from_settings(Settings(api_keys_file=tmp_path / name))


def test_a_key_file_as_windows_writes_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes("first\r\nsecond\r\n".encode("utf-8-sig"))
    keys = Keys.from_settings(Settings(api_keys_file=file))
    keys.check("first")
    keys.check("second")


def test_a_wrong_key_is_named_by_its_place_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# for the ward\n\n{HASHED}\nclé-secret\n", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=f"XRAY_API_KEYS_FILE, line 4 of {file}:") as invalid:
        Keys.from_settings(Settings(api_keys_file=file))
    assert "secret" not in str(invalid.value)
    with pytest.raises(SettingsInvalid, match="XRAY_API_KEYS, key 2:"):
        Keys.from_settings(Settings(api_keys=("first", "sha256:2")))


def test_a_key_file_of_another_encoding_is_told_which_to_use(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first\n", encoding="utf-16")
    with pytest.raises(SettingsInvalid, match=r"XRAY_API_KEYS_FILE: .*UTF-8"):
        Keys.from_settings(Settings(api_keys_file=file))
