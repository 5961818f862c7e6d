"""`python -m gateway`: what it says, and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.settings import PREFIX
from gateway.spool.ledger import Stage
from gateway.spool.store import Spool
from tests.conftest import ROOT


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool with a failure, and the environment that names it."""
    monkeypatch.setenv("GATEWAY_ARCHIVE", "PACS@127.0.0.1:104")
    monkeypatch.setenv("GATEWAY_SPOOL", str(tmp_path / "spool"))
    made = Spool(tmp_path / "spool")
    (made.incoming / "x").write_bytes(b"image")
    made.keep(made.incoming / "x", "1.2.3", "MODALITY")
    entry = made.claim(Stage.RECEIVED, 0)
    assert entry is not None
    made.give_up(entry, "refused: corrupt-image")
    made.close()
    return tmp_path / "spool"


def test_failures_are_listed(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failures"]) == 0
    said = capsys.readouterr().out
    assert "1.2.3  from MODALITY" in said
    assert "received: refused: corrupt-image" in said


def test_failures_are_tried_again(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retry", "9.9.9"]) == 2
    assert "9.9.9: not among the failures" in capsys.readouterr().err
    assert main(["retry", "1.2.3"]) == 0
    assert main(["failures"]) == 0
    assert "No failures." in capsys.readouterr().out


def test_all_failures_are_tried_again(spool: Path) -> None:
    assert main(["retry", "all"]) == 0
    again = Spool(spool)
    assert again.failures() == []
    again.close()


def test_a_spool_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE", "PACS@127.0.0.1:104")
    monkeypatch.setenv("GATEWAY_SPOOL", str(tmp_path / "nowhere"))
    for command in (["failures"], ["retry", "all"]):
        assert main(command) == 2
        assert "GATEWAY_SPOOL" in capsys.readouterr().err


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    variables = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=ROOT,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_wrong_settings_end_with_2() -> None:
    ended = run(port="dicom")
    assert ended.returncode == 2
    assert "GATEWAY_ARCHIVE: it is needed" in ended.stderr
    assert "GATEWAY_PORT" in ended.stderr


def test_an_address_that_is_not_there_is_said(tmp_path: Path) -> None:
    ended = run(archive="PACS@127.0.0.1:104", host="192.0.2.1", spool=str(tmp_path / "spool"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("The gateway does not start:")
    assert "192.0.2.1:11112" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_lists_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "GATEWAY_CALLERS" in capsys.readouterr().out
