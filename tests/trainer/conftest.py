"""Phantoms on disk, and one tiny training that several tests look at."""

import contextlib
import io
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.bundle.store import Bundle, current, open_bundle
from tests.phantoms import write_kaggle_folder
from trainer.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 3  # enough that a run can be stopped between two of them, however slow the machine
# Small enough for seconds on two busy cores; every stage of a run is still taken.
TINY = (
    *(
        "--epochs",
        str(EPOCHS),
        "--widths",
        "8-8-8-8",
        "--stem",
        "8",
        "--depth",
        "1",
        "--batch-size",
        "8",
    ),
    *("--sizes", "64", "--folds", "2"),
    # From views that differ much so few steps learn little: it may rank worse than chance.
    *("--crop", "1", "--frame", "0", "--erasing", "0", "--blur", "0", "--noise", "0"),
    *("--refusal-images", "48", "--resamples", "50", "--samples", "2", "--no-mixed-precision"),
)
# Knobs of a recipe with which images come as they are: too few steps learn little from other views.
PLAIN_VIEWS: dict[str, Any] = {
    "crop": 1.0,
    **dict.fromkeys(
        (
            *("rotation", "shear", "gamma", "contrast", "blur", "sharpen"),
            *("noise", "compression", "equalise", "frame", "erasing", "mixup"),
        ),
        0.0,
    ),
}


def asked(phantoms: Path) -> tuple[str | Path, ...]:
    """What the tiny run is asked for, but for where it publishes."""
    return ("--data", phantoms, "--unlike", phantoms / "train" / "PNEUMONIA", *TINY)


def trainer(
    *arguments: str | Path, said: io.StringIO | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the trainer's command line in this process, which spares it importing Keras anew.

    Args:
        arguments: Of the command line.
        said: What takes the place of stderr.
    """
    given = [str(argument) for argument in arguments]
    shown, said = io.StringIO(), said or io.StringIO()
    kept = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
            try:
                code = main(given)
            except SystemExit as end:  # argparse leaves so
                code = int(end.code or 0)
    finally:
        signal.signal(signal.SIGTERM, kept)
    return subprocess.CompletedProcess(given, code, shown.getvalue(), said.getvalue())


def command(arguments: Sequence[str | Path]) -> list[str]:
    """The command line of the trainer, as a process of its own."""
    return [sys.executable, "-m", "trainer", *map(str, arguments)]


@dataclass(frozen=True)
class TinyRun:
    """A published tiny training.

    Attributes:
        data: The phantoms.
        models: The models folder; `models/.trainer` holds the run.
        output: What the run printed.
        bundle: The published bundle.
    """

    data: Path
    models: Path
    output: str
    bundle: Bundle


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of phantoms in the layout of the Kaggle archive; read-only."""
    folder = tmp_path_factory.mktemp("phantoms") / "chest_xray"
    return write_kaggle_folder(folder, np.random.default_rng(7))


@pytest.fixture(scope="session")
def tiny_run(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """One unbroken `fit` on the phantoms; read-only."""
    models = tmp_path_factory.mktemp("models")
    done = trainer("fit", *asked(phantoms), "--models", models)
    assert done.returncode == 0, done.stdout + done.stderr
    path = current(models)
    assert path is not None
    return TinyRun(phantoms, models, done.stdout + done.stderr, open_bundle(path))
