"""Runs that begin together, and runs that two processes want."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from trainer.errors import TrainerError
from trainer.runs.run_folder import RunFolder, check_writable

TOGETHER = 8


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    barrier = Barrier(TOGETHER)

    def begin(number: int) -> RunFolder:
        barrier.wait(60)
        check_writable(tmp_path, "--work")
        return RunFolder.create(tmp_path, {"number": number})

    with ThreadPoolExecutor(TOGETHER) as starts:
        runs = list(starts.map(begin, range(TOGETHER)))
    assert len({run.path for run in runs}) == TOGETHER
    assert [run.state["number"] for run in runs] == list(range(TOGETHER))
    for run in runs:
        run.close()
        with closing(RunFolder.resume(tmp_path, run.path.name)) as again:
            assert again.state == run.state


def test_a_run_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, {})
    with pytest.raises(TrainerError, match=r"being worked on by process \d+ on .*--resume"):
        RunFolder.resume(tmp_path, run.path.name)
    run.close()
    RunFolder.resume(tmp_path, run.path.name).close()
