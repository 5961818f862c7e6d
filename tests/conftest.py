"""Fixtures for every folder of tests."""

import os
from pathlib import Path

import pytest

from shared.imaging.hardening import harden

harden()  # as each program does when it starts

ROOT = Path(__file__).resolve().parent.parent

QUICK_TRAINING = [
    *("--epochs=1", "--no-test", "--limit=24", "--folds=2"),
    *("--sizes=64", "--fold-sizes=64"),
    *("--refusal-images=8", "--resamples=20", "--samples=1"),
]
"""Options of `python -m trainer fit` for phantoms: the whole path, in seconds."""


@pytest.fixture(scope="session")
def xray_data() -> Path:
    """Folder of real X-rays that XRAY_DATA names, else ../shared/data; skips where it is absent."""
    path = Path(os.environ.get("XRAY_DATA") or ROOT / ".." / "shared" / "data").resolve()
    if not (path / "chest_xray").is_dir():
        pytest.skip(f"no real X-rays in {path}; name a folder of them in XRAY_DATA")
    return path
