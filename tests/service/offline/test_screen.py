"""`python -m service screen`: folders of any size, resumable."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.offline import answer
from service.offline.results import Results
from service.offline.row import Row
from service.offline.screen import screen_folders
from service.settings import Settings
from tests.service.tiny_bundle import (
    NORMAL_LIKE,
    PNEUMONIA_LIKE,
    publish_tiny,
    tilted,
    tiny_draft,
)
from tests.shared.imaging.radiographs import radiograph


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / "__MACOSX").mkdir()
    (folder / "a.png").write_bytes(PNEUMONIA_LIKE)
    (folder / "b" / "n.png").write_bytes(NORMAL_LIKE)
    (folder / "b" / "deep" / "two\nlines, and a comma.png").write_bytes(NORMAL_LIKE)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "__MACOSX" / "a.png").write_bytes(b"x")
    (folder / "b" / "back").symlink_to(folder)
    return folder


@pytest.fixture
def settings(models: Path) -> Settings:
    return Settings(models=models, cores=2)


def rows(out: Path) -> list[dict[str, str]]:
    with out.open(newline="") as file:
        return list(csv.DictReader(file)) if out.suffix == ".csv" else [*map(json.loads, file)]


def test_dicom_files_have_rows_too(settings: Settings, tmp_path: Path) -> None:
    """As a disc from a hospital has them: without a suffix, and with others among them."""
    disc = tmp_path / "DICOM"
    disc.mkdir()
    picture = tilted(60, 180)
    (disc / "IM000001").write_bytes(radiograph(picture, 8))
    (disc / "IM000002.dcm").write_bytes(radiograph(picture, 8, PatientAge="040Y"))
    (disc / "IM000003.dcm").write_bytes(radiograph(picture, 8, Modality="SR", PixelData=None))
    out = tmp_path / "results.csv"
    assert screen_folders([disc], out, settings, fresh=False) == 0
    child, adult, report = rows(out)
    assert (child["label"], child["reliable"], child["warnings"]) == ("PNEUMONIA", "True", "")
    assert (adult["label"], adult["reliable"]) == ("PNEUMONIA", "False")
    assert adult["warnings"] == "patient_age"
    assert report["problem"] == "dicom"
    assert "Modality (0008,0060)" in report["detail"]


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_row_a_file_in_order(
    images: Path, settings: Settings, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / name
    assert screen_folders([images], out, settings, fresh=False) == 0
    found = rows(out)
    assert [Path(row["path"]).name for row in found] == [
        "a.png",
        "two\\nlines, and a comma.png",
        "n.png",
        "notes.txt",
    ]
    assert [row["label"] for row in found] == ["PNEUMONIA", "NORMAL", "NORMAL", ""]
    assert found[3]["problem"] == "unsupported-format"
    assert "2 NORMAL, 1 PNEUMONIA, 1 unsupported-format" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_killed_run_goes_on_where_it_stopped(
    images: Path, settings: Settings, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    screen_folders([images], out, settings, fresh=False)
    whole = out.read_bytes()
    for length in range(0, len(whole), 29):
        out.write_bytes(whole[:length])
        assert screen_folders([images], out, settings, fresh=False) == 0
        assert out.read_bytes() == whole, f"after a cut at {length}"


def test_new_files_are_added(images: Path, settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    screen_folders([images], out, settings, fresh=False)
    (images / "0.png").write_bytes(NORMAL_LIKE)
    screen_folders([images], out, settings, fresh=False)
    assert len(rows(out)) == 5


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    images: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "results.csv"
    whole, written = Results.write, 0

    def interrupted(results: Results, row: Row) -> None:
        nonlocal written
        if written == 2:
            raise KeyboardInterrupt
        written += 1
        whole(results, row)

    monkeypatch.setattr(Results, "write", interrupted)
    assert screen_folders([images], out, settings, fresh=False) == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert len(rows(out)) == 2
    monkeypatch.setattr(Results, "write", whole)
    assert screen_folders([images], out, settings, fresh=False) == 0
    assert len(rows(out)) == 4


def test_answers_of_two_models_are_not_mixed(
    images: Path,
    settings: Settings,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "results.csv"
    screen_folders([images], out, settings, fresh=False)
    publish_tiny(models, tiny_draft(threshold=0.3))
    assert screen_folders([images], out, settings, fresh=False) == 2
    assert "--fresh" in capsys.readouterr().err
    assert screen_folders([images], out, settings, fresh=True) == 0
    assert len(rows(out)) == 4


@pytest.mark.parametrize("content", ["name,value\n1,2", "{}", '{"path', "path,label"])
def test_a_file_of_somebody_else_is_left_alone(
    images: Path, settings: Settings, tmp_path: Path, content: str
) -> None:
    out = tmp_path / "results.csv"
    out.write_text(content)
    code = screen_folders([images], out, settings, fresh=False)
    ours = content == "path,label"  # our own first line, torn
    assert code == (0 if ours else 2)
    assert ours or out.read_text() == content


def test_what_cannot_be_done_is_said(
    images: Path, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for paths, out, words in (
        ([tmp_path / "gone"], "r.csv", "No such file"),
        ([tmp_path / "empty"], "r.csv", "No files"),
        ([images], "r.xlsx", ".csv or .jsonl"),
        ([images], "images/a.png/r.csv", "Cannot write"),
    ):
        assert screen_folders(paths, tmp_path / out, settings, fresh=False) == 2
        assert words in capsys.readouterr().err


def test_a_file_over_the_limit_or_unreadable_is_a_row(
    images: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = settings.model_copy(update={"body_limit": 100})
    out = tmp_path / "results.csv"
    read = Path.read_bytes

    def unreadable(path: Path) -> bytes:
        if path.name == "notes.txt":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    screen_folders([images], out, small, fresh=False)
    assert {row["problem"] for row in rows(out)} == {"upload-too-large", "unreadable-file"}


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_file_that_could_not_be_read_is_tried_again(
    images: Path, settings: Settings, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def unreadable(path: Path) -> bytes:
        if path.suffix == ".png":
            raise OSError(5, "Input/output error")
        return read(path)

    out, whole = tmp_path / name, tmp_path / f"whole-{name}"
    screen_folders([images], whole, settings, fresh=False)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", unreadable)
        screen_folders([images / "b"], out, settings, fresh=False)
    assert {row["problem"] for row in rows(out)} == {"unreadable-file"}
    out.chmod(0o640)
    screen_folders([images / "a.png"], out, settings, fresh=False)
    assert [Path(row["path"]).name for row in rows(out)] == ["a.png"]
    screen_folders([images], out, settings, fresh=False)
    assert out.read_bytes() == whole.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o640
    assert not [*tmp_path.glob(".*")]


def test_a_network_that_fails_on_one_image_fails_on_no_other(
    images: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answer.screen  # type: ignore[attr-defined]

    def failing(model: Any, data: bytes, budget: Any) -> Any:
        if data == PNEUMONIA_LIKE:
            raise RuntimeError("Non-zero status\ncode")
        return whole(model, data, budget)

    out = tmp_path / "results.csv"
    with monkeypatch.context() as patch:
        patch.setattr(answer, "screen", failing)
        assert screen_folders([images], out, settings, fresh=False) == 0
    assert [row["problem"] for row in rows(out)] == ["internal-error", "", "", "unsupported-format"]
    assert "Non-zero status code" in rows(out)[0]["detail"]
    screen_folders([images], out, settings, fresh=False)
    assert [row["label"] for row in rows(out)] == ["NORMAL", "NORMAL", "", "PNEUMONIA"]


def test_memory_is_given_back_as_when_serving(
    images: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[int] = []
    monkeypatch.setattr("service.offline.screener.keep_small_blocks", workers.append)
    screen_folders([images], tmp_path / "results.csv", settings, fresh=False)
    assert workers == [settings.cores]


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_the_results_themselves_are_not_screened(
    images: Path, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    for _ in range(2):
        assert screen_folders([Path()], Path(name), settings, fresh=False) == 0
        assert name not in {row["path"] for row in rows(images / name)}


def test_a_file_that_is_named_twice_has_one_row(
    images: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "results.csv"
    again = [images / "b", Path("images"), Path("images/../images/a.png")]
    for _ in range(2):
        assert screen_folders([images, images, *again], out, settings, fresh=False) == 0
        assert len(rows(out)) == 4


def test_a_folder_that_cannot_be_looked_into_is_a_row(
    images: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(look: Callable[[Any], Any]) -> Callable[[str | Path], Any]:
        def denied(path: str | Path) -> Any:
            if Path(path).name == "deep":
                raise PermissionError(13, "Permission denied")
            return look(path)

        return denied

    monkeypatch.setattr(os, "scandir", closed(os.scandir))
    monkeypatch.setattr(Path, "iterdir", closed(Path.iterdir))
    out = tmp_path / "results.csv"
    assert screen_folders([images], out, settings, fresh=False) == 0
    row = next(row for row in rows(out) if row["path"].endswith("deep"))
    assert (row["problem"], row["detail"]) == ("unreadable-file", "Permission denied")
    assert len(rows(out)) == 4


def test_a_damaged_file_of_results_is_named(
    images: Path, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, damage in (("r.csv", "x" * 200_000), ("r.jsonl", '{"path": '), ("r.jsonl", "[]")):
        out = tmp_path / name
        screen_folders([images], out, settings, fresh=True)
        whole = out.read_text()
        out.write_text(f"{whole}{damage}\n")
        assert screen_folders([images], out, settings, fresh=False) == 2
        assert "--fresh" in capsys.readouterr().err
        assert out.read_text().startswith(whole)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_second_run_on_the_same_file_is_told_who_writes_it(
    images: Path,
    settings: Settings,
    tmp_path: Path,
    fresh: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, link = tmp_path / "results.csv", tmp_path / "link.csv"
    screen_folders([images], out, settings, fresh=False)
    link.symlink_to(out)
    whole = out.read_bytes()
    version = rows(out)[0]["model"]
    with Results(out, version):
        for name in (out, link):
            assert screen_folders([images], name, settings, fresh) == 2
            assert f"is being written by process {os.getpid()} on" in capsys.readouterr().err
    assert out.read_bytes() == whole
    assert screen_folders([images], out, settings, fresh) == 0
