"""`screen` with a folder as OUT: what is accepted, and what is refused with which words."""

import io
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from pyarrow import parquet

from service.__main__ import main
from service.offline.archive.options import Shard
from tests.conftest import ROOT
from tests.service.tiny_bundle import NORMAL_LIKE


@pytest.fixture(autouse=True)
def without_what_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tests are told of real X-rays, the service would not start."""
    monkeypatch.delenv("XRAY_DATA", raising=False)


def test_a_shard_counts_from_0() -> None:
    assert Shard.parse("3/8") == Shard(3, 8)
    for wrong in ("8/8", "3", "-1/8", "a/b", "0/0"):
        with pytest.raises(ArgumentTypeError, match="from 0 to N - 1"):
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


def test_what_a_file_holds_beside_its_picture_is_rationed_here_too(
    models: Path, tmp_path: Path
) -> None:
    """In a process of its own: the tests' has asked for that already."""
    (tmp_path / "images").mkdir()
    notes = PngImagePlugin.PngInfo()
    for name in ("Author", "Comment", "Source"):
        notes.add_text(name, "x" * 500_000, zip=True)
    with Image.open(io.BytesIO(NORMAL_LIKE)) as picture:
        picture.save(tmp_path / "images" / "a.png", pnginfo=notes)
    command = [sys.executable, "-m", "service", "screen", str(tmp_path / "images")]
    environment = os.environ | {"XRAY_MODELS": str(models)}
    subprocess.run(
        [*command, "--out", f"{tmp_path}/run/"], check=True, cwd=ROOT, env=environment, timeout=300
    )
    [row] = parquet.read_table(tmp_path / "run" / "part-00000.parquet").to_pylist()
    assert row["problem"] == "corrupt-image"
