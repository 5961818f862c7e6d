"""What `make` would run, as it says itself."""

import os
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
