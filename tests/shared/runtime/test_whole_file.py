"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from shared.runtime.whole_file import replacing


def test_what_was_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"before")
    with replacing(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="full"):
        _write_half(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half of")
        raise OSError("the disk is full")


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with replacing(path) as last:
        with replacing(path) as first:
            first.write(b"first")
        assert path.read_bytes() == b"first"
        last.write(b"last")
    assert path.read_bytes() == b"last"
