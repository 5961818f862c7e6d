"""A lock on a file: one holder, named to others, let go with its process."""

import errno
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.runtime.file_lock import FileLock, Held, LocksUnsupported
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from shared.runtime.file_lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with FileLock(path), pytest.raises(Held, match=f"process {os.getpid()} on .+, since 20"):
        FileLock(path)
    with FileLock(path), FileLock(tmp_path / "other"):
        pass
    assert not [*tmp_path.iterdir()]


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
            FileLock(path)
        holder.kill()
        holder.wait(60)
        FileLock(path).close()
    assert not [*tmp_path.iterdir()]


def test_who_waits_has_it_next_and_alone(tmp_path: Path) -> None:
    """Also where the one before takes its file away."""
    path, order = tmp_path / ".lock", []

    def wait() -> None:
        with FileLock(path, wait=True):
            order.append("second")
            with pytest.raises(Held):
                FileLock(path)

    with FileLock(path):
        second = threading.Thread(target=wait)
        second.start()
        order.append("first")
    second.join(60)
    assert order == ["first", "second"]


def test_one_that_was_let_go_takes_nothing_from_the_next(tmp_path: Path) -> None:
    first = FileLock(tmp_path / ".lock")
    first.close()
    with FileLock(tmp_path / ".lock"):
        first.close()
        with pytest.raises(Held):
            FileLock(tmp_path / ".lock")


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    said = f"{re.escape(str(tmp_path / '.lock'))} cannot be locked: .+ with locks"
    with pytest.raises(LocksUnsupported, match=said):
        FileLock(tmp_path / ".lock")
