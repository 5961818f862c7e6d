"""Studies: whatever is killed, and however many begin at once, each cell is trained once."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.e2e.archive_processes import free_port, running, scheduler, wait_until, worker
from tests.phantoms import write_kaggle_folder

pytestmark = pytest.mark.slow

CELLS = 2
PATIENCE = 900  # seconds for what takes one or two minutes: the machine may be busy
STUDY = """
folds = 2

[all]
sizes = "64"
stem = 4
widths = "4-4-4-4"
depth = 1
batch_size = 8
mixed_precision = false
epochs = {epochs}

[recipes.plain]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "chest_xray"
    return write_kaggle_folder(folder, np.random.default_rng(3), train=(24, 24), size=96)


def command(folder: Path, data: Path, epochs: int, *more: str) -> list[str]:
    """The command line of a study in `folder/out`."""
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(STUDY.format(epochs=epochs))
    study = [sys.executable, "-m", "trainer", "study", str(folder / "study.toml")]
    return [*study, "--data", str(data), "--out", str(folder / "out"), *more]


def epochs_said(logs: Iterable[Path]) -> int:
    """How many epochs were trained to their end, by all processes."""
    return sum(len(re.findall(r"^epoch \d+/\d+: ", log.read_text(), re.M)) for log in logs)


def check_whole(out: Path, epochs: int) -> None:
    """All cells are finished, and their histories are unbroken."""
    assert (out / "table.md").read_text().startswith(f"{CELLS} of {CELLS} cells")
    results = [*out.glob("cells/*/result.json")]
    assert len(results) == CELLS
    for path in results:
        [history] = json.loads(path.read_text())["histories"]
        assert [row["epoch"] for row in history] == list(range(1, epochs + 1))


def test_killed_in_an_epoch_and_taken_over_by_two(data: Path, tmp_path: Path) -> None:
    epochs, out = 5, tmp_path / "out"
    logs = [tmp_path / f"log-{name}" for name in "abc"]
    asked = command(tmp_path, data, epochs)
    with running(asked, logs[0]) as first:
        wait_until(lambda: epochs_said(logs[:1]) >= 2 or first.poll() is not None, PATIENCE)
        first.kill()
    trained = epochs_said(logs[:1])
    assert 2 <= trained < CELLS * epochs, logs[0].read_text()
    assert not (out / "table.md").exists()
    with ExitStack() as stack:
        both = [stack.enter_context(running(asked, log)) for log in logs[1:]]
        assert [each.wait(PATIENCE) for each in both] == [0, 0], logs[1].read_text()
    check_whole(out, epochs)
    # Saved, perhaps, but not said any more, when it was killed.
    assert CELLS * epochs - 1 <= epochs_said(logs) <= CELLS * epochs


@pytest.fixture(scope="module")
def begun_by_four(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that four processes began together, two for each cell."""
    folder = tmp_path_factory.mktemp("four")
    with ExitStack() as stack:
        pods = [
            stack.enter_context(
                running(
                    command(folder, data, 1, "--cell", str(number % CELLS)),
                    folder / f"log-{number}",
                )
            )
            for number in range(4)
        ]
        assert [pod.wait(PATIENCE) for pod in pods] == [0] * 4, (folder / "log-0").read_text()
    return folder


def test_four_that_begin_together_decode_once_and_train_each_cell_once(
    begun_by_four: Path,
) -> None:
    logs = [*begun_by_four.glob("log-*")]
    assert epochs_said(logs) == CELLS
    assert sum("Data  " in log.read_text() for log in logs) <= 1 + CELLS
    check_whole(begun_by_four / "out", 1)
    assert len([*begun_by_four.glob("out/cache/train-*")]) == 1
    assert not [*begun_by_four.rglob("*.part*")]


def test_what_is_finished_is_skipped_without_loading_what_trains(
    begun_by_four: Path, data: Path
) -> None:
    arguments = command(begun_by_four, data, 1)[3:]
    code = (
        "import sys; from trainer.__main__ import main; code = main(sys.argv[1:]); "
        "print(sorted({'tensorflow', 'keras', 'sklearn', 'cv2', 'scipy'} & set(sys.modules))); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n[]\n")
    assert f"{CELLS} of {CELLS} cells" in done.stdout


def test_a_cluster_goes_on_without_a_worker_that_is_killed(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    epochs, out, port = 5, tmp_path / "out", free_port()
    logs = [tmp_path / f"log-{name}" for name in "ab"]
    asked = command(tmp_path, data, epochs, "--scheduler", f"tcp://127.0.0.1:{port}")
    with ExitStack() as stack:
        stack.enter_context(scheduler(port, tmp_path / "log"))
        first = stack.enter_context(worker(port, logs[0]))
        driver = stack.enter_context(running(asked, tmp_path / "log"))
        wait_until(lambda: epochs_said(logs[:1]) >= 2, PATIENCE)
        first.kill()
        first.wait()
        assert epochs_said(logs[:1]) < CELLS * epochs
        stack.enter_context(worker(port, logs[1]))
        assert driver.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
    check_whole(out, epochs)
    assert CELLS * epochs - 1 <= epochs_said(logs) <= CELLS * epochs


def test_a_cluster_whose_scheduler_ends_is_told(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    port, log = free_port(), tmp_path / "log"
    asked = command(tmp_path, data, 1, "--scheduler", f"tcp://127.0.0.1:{port}")
    with ExitStack() as stack:
        serving = stack.enter_context(scheduler(port, tmp_path / "log-scheduler"))
        driver = stack.enter_context(running(asked, log))
        wait_until(lambda: log.exists() and "for workers" in log.read_text(), PATIENCE)
        serving.kill()
        assert driver.wait(PATIENCE) == 1
    assert "2 of 2 cells are not finished" in log.read_text()
    assert "run the same command again" in log.read_text()
    assert "Traceback" not in log.read_text()
