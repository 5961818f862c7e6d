"""The lock that keeps two processes from the same work."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import ROOT
from trainer.runs.lock import Held, take_lock

HOLD = """
import sys
from pathlib import Path
from trainer.runs.lock import take_lock
lock = take_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_it_goes_with_a_holder_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Held, match=f"process {holder.pid} on "):
            take_lock(path)
        holder.kill()
        holder.wait(60)
        take_lock(path).close()


def test_who_waits_has_it_next(tmp_path: Path) -> None:
    path, order = tmp_path / ".lock", []

    def wait() -> None:
        with take_lock(path, wait=True):
            order.append("second")

    with take_lock(path):
        second = threading.Thread(target=wait)
        second.start()
        order.append("first")
    second.join(60)
    assert order == ["first", "second"]
