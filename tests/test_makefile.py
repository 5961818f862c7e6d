"""What `make` would run, as it says itself."""

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def would_run(*arguments: str) -> str:
    """What `make` would run on a machine where nothing is installed yet."""
    set_apart = {"VENV", "EXTRA", "ARGS", "MAKEFLAGS", "MFLAGS"}
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in set_apart},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_training_on_a_gpu_takes_an_environment_of_its_own() -> None:
    usual = would_run("train", "DATA=x", "--always-make")
    assert "'.[trainer]'" in usual
    assert ".venv/bin/python -m trainer fit" in usual
    lines = would_run("train", "DATA=x", "EXTRA=trainer-gpu", "--always-make")
    assert "'.[trainer-gpu]'" in lines
    assert ".venv-gpu/bin/python -m trainer fit" in lines


def test_download_installs_the_trainer_first(tmp_path: Path) -> None:
    lines = would_run("download", f"VENV={tmp_path}/new")
    assert lines.index("'.[trainer]'") < lines.index("python -m trainer download")


def test_floors_are_the_lowest_versions_that_are_allowed(tmp_path: Path) -> None:
    floors = tmp_path / "floors"
    lines = would_run("test-floors", f"FLOORS={floors}").splitlines()
    [listing] = [line for line in lines if line.startswith("sed ")]
    floors.mkdir()
    subprocess.run(listing, shell=True, cwd=ROOT, check=True)
    allowed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = (floors / "floors.txt").read_text().split()
    named = {line.split("==")[0] for line in found}
    assert named == set(re.findall(r'"([a-z0-9-]+)(?:\[[\w-]+\])?>=', allowed)) - {"setuptools"}
    for line in found:
        assert re.search(line.replace("==", r"(\[.+\])?>="), allowed)
    assert any(f"-c {floors}/floors.txt" in line for line in lines)
