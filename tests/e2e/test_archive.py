"""Archives: whatever is killed, and whenever, each file of the plan is in the results once."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.archive_processes import (
    SCREEN,
    Storage,
    free_port,
    running,
    scheduler,
    storage,
    wait_until,
    worker,
)
from tests.e2e.process import environment
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE, publish_tiny

pq = pytest.importorskip("pyarrow.parquet")

FILES, PART = 240, 10
PARTS = FILES // PART
SITE_PARTS = PARTS // 3


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of both kinds, and some that are none."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(FILES):
        path = folder / f"site-{number % 3}" / f"{number:04d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((PNEUMONIA_LIKE, NORMAL_LIKE, b"no image")[number % 7 % 3])
    return folder


@pytest.fixture(scope="module")
def expected(models: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `screen` says of them on one machine, in one file."""
    out = tmp_path_factory.mktemp("local") / "results.jsonl"
    assert screen(models, str(images), "--out", str(out)).returncode == 0
    with out.open() as file:
        return [json.loads(line) for line in file]


def screen(
    models: Path, *arguments: str, patience: str = "2", **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    folder = [] if arguments[-1].endswith("jsonl") else [f"--part={PART}", f"--patience={patience}"]
    return subprocess.run(
        [*SCREEN, *arguments, *folder],
        env=environment(models=models, cores=2) | more,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def begun(out: Path) -> int:
    """How many parts are finished."""
    return len([*out.glob("part-*.parquet")])


def rows(out: Path) -> list[dict[str, Any]]:
    """All rows, in the order of the parts."""
    found: list[dict[str, Any]] = []
    for part in sorted(out.glob("part-*.parquet")):
        found += pq.read_table(part).to_pylist()
    return found


def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def in_the_midst(command: list[str], models: Path, out: Path, log: Path) -> None:
    """Runs the command until some parts are finished, and kills it with -9."""
    with running(command, log, XRAY_MODELS=str(models), XRAY_CORES="2") as driver:
        wait_until(lambda: begun(out) >= 2 or driver.poll() is not None)
        driver.kill()
    assert 2 <= begun(out) < PARTS, log.read_text()


def test_a_killed_run_goes_on_and_a_file_added_since_changes_nothing(
    models: Path, images: Path, expected: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [str(images), "--out", f"{out}/"]
    in_the_midst([*SCREEN, *command, f"--part={PART}"], models, out, tmp_path / "log")
    added = images / "site-0" / "0000-added.png"
    added.write_bytes(NORMAL_LIKE)
    try:
        ended = screen(models, *command)
    finally:
        added.unlink()
    assert ended.returncode == 0, ended.stderr
    assert rows(out) == expected
    assert summary(out)["files"] == FILES == sum(summary(out)["said"].values())
    assert "images/s" in ended.stderr
    assert not [*out.rglob("attempts/*")]


def test_two_drivers_at_once_do_each_part_once(
    models: Path, images: Path, expected: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [*SCREEN, str(images), "--out", f"{out}/", f"--part={PART}"]
    variables = {"XRAY_MODELS": str(models), "XRAY_CORES": "2"}
    with ExitStack() as stack:
        drivers = [
            stack.enter_context(running(command, tmp_path / f"log-{name}", **variables))
            for name in "ab"
        ]
        codes = [driver.wait(300) for driver in drivers]
    assert codes == [0, 0], (tmp_path / "log-a").read_text() + (tmp_path / "log-b").read_text()
    assert rows(out) == expected


def test_shards_together_make_one_run(
    models: Path, images: Path, expected: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [*SCREEN, str(images), "--out", f"{out}/", f"--part={PART}"]
    variables = {"XRAY_MODELS": str(models), "XRAY_CORES": "1"}
    with ExitStack() as stack:
        pods = [
            stack.enter_context(
                running([*command, f"--shard={index}/3"], tmp_path / f"log-{index}", **variables)
            )
            for index in (2, 1, 0)
        ]
        assert [pod.wait(300) for pod in pods] == [0, 0, 0], (tmp_path / "log-0").read_text()
    assert rows(out) == expected
    assert sum(summary(out)["said"].values()) == FILES


@pytest.mark.parametrize("killed", ["worker", "scheduler", "driver"])
def test_a_cluster_loses_what_is_killed_and_nothing_else(
    models: Path, images: Path, expected: Any, tmp_path: Path, killed: str
) -> None:
    pytest.importorskip("distributed")
    out, log, port = tmp_path / "run", tmp_path / "log", free_port()
    said = tmp_path / "said"  # by the driver alone
    variables = {"XRAY_MODELS": str(models), "XRAY_CORES": "1"}
    command = [
        *(*SCREEN, str(images), "--out", f"{out}/", f"--part={PART}", "--patience=120"),
        f"--scheduler=tcp://127.0.0.1:{port}",
    ]
    with ExitStack() as stack:
        processes = {"scheduler": stack.enter_context(scheduler(port, log))}
        processes["worker"] = stack.enter_context(worker(port, log, **variables))
        stack.enter_context(worker(port, log, **variables))
        processes["driver"] = stack.enter_context(running(command, said, **variables))
        wait_until(lambda: begun(out) >= 2)
        processes[killed].kill()
        processes[killed].wait()
        finished = begun(out)
        assert finished < PARTS
        if killed == "scheduler":  # as a cluster starts it again, and the workers that went with it
            stack.enter_context(scheduler(port, log))
            stack.enter_context(worker(port, log, **variables))
        if killed == "driver":
            processes["driver"] = stack.enter_context(running(command, said, **variables))
        assert processes["driver"].wait(300) == 0, said.read_text() + log.read_text()
    assert "Traceback" not in said.read_text()
    assert rows(out) == expected
    assert summary(out)["files"] == FILES


@pytest.fixture
def s3(images: Path, tmp_path: Path) -> Iterator[Storage]:
    """One site's images in a bucket."""
    with storage(tmp_path / "storage.log") as server:
        for path in sorted((images / "site-0").iterdir()):
            server.put(f"archive/site-0/{path.name}", path.read_bytes())
        server.put("archive/site-0/.hidden", b"x")
        yield server


def test_storage_that_is_down_when_read_loses_no_image(
    models: Path, images: Path, expected: Any, tmp_path: Path, s3: Storage
) -> None:
    out = tmp_path / "run"
    command = ["s3://archive/", "--out", f"{out}/"]
    with running(
        [*SCREEN, *command, f"--part={PART}", "--patience=2"],
        tmp_path / "log",
        **variables(models, s3),
    ) as driver:
        wait_until(lambda: begun(out) >= 1)
        s3.relay.close()
        assert driver.wait(300) == 1
    said = (tmp_path / "log").read_text()
    assert "Not finished: part-" in said
    assert "Run the same command again" in said
    assert begun(out) < SITE_PARTS
    assert not {row["problem"] for row in rows(out)} & {"unreadable-file", "internal-error"}
    s3.relay.open()
    ended = screen(models, *command, **s3.variables)
    assert ended.returncode == 0, ended.stderr
    found = [row | {"path": row["path"].replace("s3://archive", str(images))} for row in rows(out)]
    assert found == expected[: len(found)]
    assert len(found) == FILES // 3


def test_storage_that_is_down_when_written_loses_no_row(
    models: Path, images: Path, expected: Any, tmp_path: Path, s3: Storage
) -> None:
    command = [str(images / "site-0"), "--out", "s3://results/run/"]
    with running(
        [*SCREEN, *command, f"--part={PART}", "--patience=2"],
        tmp_path / "log",
        **variables(models, s3),
    ) as driver:
        wait_until(lambda: b"/part-" in s3.get("results?list-type=2"))
        s3.relay.close()
        assert driver.wait(300) == 1, (tmp_path / "log").read_text()
    assert s3.get("results?list-type=2").count(b"/part-") < SITE_PARTS
    s3.relay.open()
    ended = screen(models, *command, **s3.variables)
    assert ended.returncode == 0, ended.stderr
    found: list[dict[str, Any]] = []
    for number in range(SITE_PARTS):
        part = tmp_path / "part.parquet"
        part.write_bytes(s3.read(f"results/run/part-{number:05d}.parquet"))
        found += pq.read_table(part).to_pylist()
    assert found == expected[: FILES // 3]
    assert json.loads(s3.read("results/run/summary.json"))["files"] == FILES // 3


def test_another_model_or_source_is_refused(models: Path, images: Path, tmp_path: Path) -> None:
    out, others = tmp_path / "run", tmp_path / "models"
    small = str(images / "site-0")
    assert screen(models, small, "--out", f"{out}/").returncode == 0
    publish_tiny(others)
    for ended, what in (
        (screen(others, small, "--out", f"{out}/"), "model"),
        (screen(models, str(images), "--out", f"{out}/"), "source"),
    ):
        assert ended.returncode == 2
        assert f"a run of the {what}" in ended.stderr
        assert "--fresh" in ended.stderr
    again = screen(others, str(images), "--out", f"{out}/", "--fresh")
    assert again.returncode == 0, again.stderr
    assert len(rows(out)) == FILES


POISON = """
import os, signal
from service.screening import pipeline
whole = pipeline.screen
def screen(model, data, *rest):
    if data.startswith(b"poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(model, data, *rest)
pipeline.screen = screen
"""


def test_an_image_that_kills_its_process_is_a_row_of_its_own(
    models: Path, images: Path, expected: Any, tmp_path: Path
) -> None:
    out, folder = tmp_path / "run", tmp_path / "path"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(POISON)
    poison = images / "site-1" / "0100.png"
    kept = poison.read_bytes()
    poison.write_bytes(b"poison")
    command = [str(images), "--out", f"{out}/"]
    try:
        codes = [
            screen(models, *command, PYTHONPATH=f"{folder}{os.pathsep}{ROOT}").returncode
            for _ in range(4)
        ]
    finally:
        poison.write_bytes(kept)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 1, 1]
    failed = [row for row in rows(out) if row["problem"] == "internal-error"]
    assert [row["path"] for row in failed] == [str(poison)]
    assert f"status -{signal.SIGKILL.value}" in failed[0]["detail"]
    others = [row for row in expected if row["path"] != str(poison)]
    assert [row for row in rows(out) if row["path"] != str(poison)] == others
    assert len(summary(out)["failed_parts"]) == 1


def variables(models: Path, server: Storage) -> dict[str, str]:
    return {"XRAY_MODELS": str(models), "XRAY_CORES": "2"} | server.variables
