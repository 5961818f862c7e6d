"""Studies: whatever is killed, and however many begin at once, each cell is trained once."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.e2e.archive_processes import free_port, running, scheduler, wait_until, worker
from tests.phantoms import write_kaggle_folder

pytestmark = pytest.mark.slow

CELLS, EPOCHS = 2, 5
PATIENCE = 900  # seconds for what takes one or two minutes: the machine may be busy
STUDY = f"""
folds = 2

[all]
sizes = "64"
stem = 4
widths = "4-4-4-4"
depth = 1
batch_size = 8
mixed_precision = false
epochs = {EPOCHS}

[recipes.plain]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "chest_xray"
    return write_kaggle_folder(folder, np.random.default_rng(3), train=(24, 24), size=96)


def command(folder: Path, data: Path, *more: str) -> list[str]:
    """The command line of a study in `folder/out`."""
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(STUDY)
    study = [sys.executable, "-m", "trainer", "study", str(folder / "study.toml")]
    return [*study, "--data", str(data), "--out", str(folder / "out"), *more]


def trained(log: Path) -> int:
    """How many epochs a process says that it has trained to their end."""
    return len(re.findall(r"^epoch \d+/\d+: ", log.read_text(), re.M))


def check_whole(out: Path) -> None:
    """All cells are finished, and their histories are unbroken."""
    assert (out / "table.md").read_text().startswith(f"{CELLS} of {CELLS} cells")
    results = [*out.glob("cells/*/result.json")]
    assert len(results) == CELLS
    for path in results:
        [history] = json.loads(path.read_text())["histories"]
        assert [row["epoch"] for row in history] == list(range(1, EPOCHS + 1))


@pytest.fixture(scope="module")
def begun_by_five(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that five processes began together, of which one was killed in the midst of a cell.

    Two of them are for one cell each, the others for all.
    """
    folder = tmp_path_factory.mktemp("five")
    logs = [folder / f"log-{number}" for number in range(5)]
    only = (("--cell", "0"), ("--cell", "1"), (), (), ())
    with ExitStack() as stack:
        pods = [
            stack.enter_context(running(command(folder, data, *more), log))
            for more, log in zip(only, logs, strict=True)
        ]
        wait_until(lambda: max(map(trained, logs)) >= 2, PATIENCE)
        victim = max(range(5), key=lambda number: trained(logs[number]))
        killed = pods.pop(victim)
        killed.kill()
        killed.wait()
        assert trained(logs[victim]) < EPOCHS, logs[victim].read_text()
        assert not (folder / "out" / "table.md").exists()
        assert [pod.wait(PATIENCE) for pod in pods] == [0] * 4, logs[victim - 1].read_text()
    return folder


def test_five_that_begin_together_decode_once_and_train_each_cell_once(
    begun_by_five: Path,
) -> None:
    """Though one of them was killed in an epoch, and another took its cell over."""
    logs = [*begun_by_five.glob("log-*")]
    # Saved, perhaps, but not said any more, when it was killed.
    assert CELLS * EPOCHS - 1 <= sum(map(trained, logs)) <= CELLS * EPOCHS
    # Who plans, who trains, and who takes over.
    assert sum("Data  " in log.read_text() for log in logs) <= 1 + CELLS + 1
    check_whole(begun_by_five / "out")
    assert len([*begun_by_five.glob("out/cache/train-*")]) == 1
    assert not [*begun_by_five.rglob("*.part*")]


def test_what_is_finished_is_skipped_without_loading_what_trains(
    begun_by_five: Path, data: Path
) -> None:
    arguments = command(begun_by_five, data)[3:]
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
    out, port = tmp_path / "out", free_port()
    logs = [tmp_path / f"log-{name}" for name in "ab"]
    asked = command(tmp_path, data, "--scheduler", f"tcp://127.0.0.1:{port}")
    with ExitStack() as stack:
        stack.enter_context(scheduler(port, tmp_path / "log"))
        first = stack.enter_context(worker(port, logs[0]))
        driver = stack.enter_context(running(asked, tmp_path / "log"))
        wait_until(lambda: trained(logs[0]) >= 2, PATIENCE)
        first.kill()
        first.wait()
        assert trained(logs[0]) < CELLS * EPOCHS
        stack.enter_context(worker(port, logs[1]))
        assert driver.wait(PATIENCE) == 0, (tmp_path / "log").read_text()
    check_whole(out)
    assert CELLS * EPOCHS - 1 <= sum(map(trained, logs)) <= CELLS * EPOCHS


def test_a_cluster_whose_scheduler_ends_is_told(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    port, log = free_port(), tmp_path / "log"
    asked = command(tmp_path, data, "--scheduler", f"tcp://127.0.0.1:{port}")
    with ExitStack() as stack:
        serving = stack.enter_context(scheduler(port, tmp_path / "log-scheduler"))
        driver = stack.enter_context(running(asked, log))
        wait_until(lambda: log.exists() and "for workers" in log.read_text(), PATIENCE)
        serving.kill()
        assert driver.wait(PATIENCE) == 1
    assert "2 of 2 cells are not finished" in log.read_text()
    assert "run the same command again" in log.read_text()
    assert "Traceback" not in log.read_text()
