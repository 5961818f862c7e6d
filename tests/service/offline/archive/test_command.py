"""`screen` with a folder as OUT: what is accepted, and what is refused with which words."""

from pathlib import Path

import pytest

from service.__main__ import main
from service.offline.archive.options import Shard


def test_a_shard_counts_from_0() -> None:
    assert Shard.parse("3/8") == Shard(3, 8)
    for wrong in ("8/8", "3", "-1/8", "a/b", "0/0"):
        with pytest.raises(ValueError, match="from 0 to N - 1"):
            Shard.parse(wrong)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["s3://archive/", "--out", "r.csv"], "go to a folder"),
        (["images", "--out", "r.csv", "--shard", "0/2"], "is one file"),
        (["images", "--out", "run/", "--shard", "0/2", "--fresh"], "other shards"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["screen", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_an_archive_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("gone", "No such file or folder"), ("empty", "No files in")):
        assert main(["screen", str(tmp_path / name), "--out", f"{tmp_path}/run/"]) == 2
        assert words in capsys.readouterr().err
