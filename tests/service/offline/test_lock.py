"""The lock of a file of results: one holder, named to others, let go with its process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.offline.lock import Locked, locked

HOLD = """
import sys
from pathlib import Path
from service.offline.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    with locked(tmp_path / "r.csv"), pytest.raises(Locked, match=f"process {os.getpid()} on "):  # noqa: SIM117
        with locked(tmp_path / "r.csv"):
            pass
    with locked(tmp_path / "r.csv"), locked(tmp_path / "other.csv"):
        pass
    assert not [*tmp_path.iterdir()]


def test_it_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(Locked, match=f"process {holder.pid} on "), locked(path):
            pass
        holder.kill()
        holder.wait()
    with locked(path):
        pass
    assert not [*tmp_path.iterdir()]
