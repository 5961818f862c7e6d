"""A bundle is published whole or not at all, and opened only if it is as it was published."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.bundle import store as bundle
from shared.bundle.manifest import Draft, OperatingPoint
from shared.bundle.store import BundleInvalid, PublishFailed, current, open_bundle, publish
from shared.runtime.whole_file import replacing, synchronise

NETWORK = bytes(range(256)) * 40


def write(folder: Path) -> Draft:
    """Write the files of a small bundle."""
    (folder / "model.onnx").write_bytes(NETWORK)
    (folder / "model.h5").write_bytes(NETWORK[::-1])
    (folder / "MODEL_CARD.md").write_text("A card.\n", encoding="utf-8")
    point = OperatingPoint(threshold=0.4, rule="sensitivity 0.97", low=0.2, high=0.6)
    return Draft(operating_point=point, training={"seed": 1})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_published_bundle_opens_and_is_current(tmp_path: Path) -> None:
    models = tmp_path / "made" / "models"
    path = publish(models, write)
    assert names(models) == {path.name, "current"}
    assert current(models) == path
    opened = open_bundle(path)
    assert opened.manifest.version == path.name
    assert set(opened.manifest.files) == {"model.onnx", "model.h5", "MODEL_CARD.md"}
    assert opened.manifest.training == {"seed": 1}
    assert opened.read("model.onnx") == NETWORK
    assert opened.file("model.h5").read_bytes() == NETWORK[::-1]
    assert opened.file("model.json").is_file()


def test_others_may_read_what_was_published(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        path = publish(tmp_path, write)
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o555 == 0o555
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in path.iterdir())


def test_the_next_bundle_takes_over_and_the_first_stays(tmp_path: Path) -> None:
    def write_other(folder: Path) -> Draft:
        draft = write(folder)
        (folder / "model.onnx").write_bytes(b"other")
        return draft

    first, second = publish(tmp_path, write), publish(tmp_path, write_other)
    assert current(tmp_path) == second
    assert open_bundle(first).read("model.onnx") == NETWORK
    assert open_bundle(second).read("model.onnx") == b"other"


def test_the_same_content_twice_within_a_second(tmp_path: Path) -> None:
    first = publish(tmp_path, write)
    second = publish(tmp_path, write)
    assert current(tmp_path) == second
    assert open_bundle(first).manifest.files == open_bundle(second).manifest.files


class Refused(Exception):
    """Raised by a writer on purpose."""


@pytest.mark.parametrize("error", [Refused("not equal"), KeyboardInterrupt()])
def test_a_failing_writer_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    before = publish(tmp_path, write)

    def fail(folder: Path) -> Draft:
        write(folder)
        raise error

    with pytest.raises(type(error)):
        publish(tmp_path, fail)
    assert names(tmp_path) == {before.name, "current"}
    assert current(tmp_path) == before


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["write", "_finish", "synchronise", "current"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = publish(tmp_path, write)
    writer: Callable[[Path], Draft] = write
    if step == "write":

        def writer(folder: Path) -> Draft:
            (folder / "model.h5").write_bytes(b"half")
            full()
            raise AssertionError

    elif step == "current":
        monkeypatch.setattr(
            bundle, "replacing", lambda path: full() if path.name == step else replacing(path)
        )
    else:
        monkeypatch.setattr(bundle, step, full)
    with pytest.raises(PublishFailed, match="No space left") as caught:
        publish(tmp_path, writer)
    assert str(tmp_path) in str(caught.value)
    assert names(tmp_path) == {before.name, "current"}
    assert current(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), KeyboardInterrupt()])
def test_a_bundle_that_is_current_is_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = publish(tmp_path, write)

    def fail_when_replaced(folder: Path) -> None:
        if current(tmp_path) != before:
            raise error
        synchronise(folder)

    monkeypatch.setattr(bundle, "synchronise", fail_when_replaced)
    expected = PublishFailed if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        publish(tmp_path, write)
    path = current(tmp_path)
    assert path is not None
    assert path != before
    assert open_bundle(path).read("model.onnx") == NETWORK
    assert names(tmp_path) == {before.name, path.name, "current"}
    if isinstance(error, OSError):
        assert f"{path} is published" in str(caught.value)


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishFailed, match=r"file.*[Nn]ot a directory|File exists"):
        publish(tmp_path / "file", write)
    with pytest.raises(PublishFailed, match="file"):
        publish(tmp_path / "file" / "models", write)


def test_a_folder_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(PublishFailed, match=r"Permission denied.*make the folder writable"):
        publish(tmp_path, write)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PublishFailed, match="Permission denied"):
            publish(tmp_path, write)
    finally:
        tmp_path.chmod(0o700)


def test_what_a_killed_run_left_is_removed_but_not_a_running_ones(tmp_path: Path) -> None:
    for name, age in ((".publishing-dead", 7200), (".publishing-busy", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.h5").write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    path = publish(tmp_path, write)
    assert names(tmp_path) == {path.name, "current", ".publishing-busy"}


def test_a_half_written_bundle_is_never_current(tmp_path: Path) -> None:
    seen = []

    def look(folder: Path) -> Draft:
        seen.append((current(tmp_path), folder.parent == tmp_path))
        return write(folder)

    publish(tmp_path, look)
    assert seen == [(None, True)]


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = publish(tmp_path, write)
    opened = open_bundle(path)
    damaged = bytearray(NETWORK)
    damaged[4711] ^= 1
    (path / "model.onnx").write_bytes(damaged)
    with pytest.raises(BundleInvalid, match=r"model\.onnx does not match"):
        open_bundle(path)
    with pytest.raises(BundleInvalid, match=r"model\.onnx does not match"):
        opened.read("model.onnx")


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = publish(tmp_path, write)
    opened = open_bundle(path)
    (path / name).unlink()
    with pytest.raises(BundleInvalid, match=f"{name}: No such file"):
        open_bundle(path)
    if name == "model.onnx":
        with pytest.raises(BundleInvalid, match="No such file"):
            opened.read(name)


@pytest.mark.parametrize("name", ["../secret", "model.bin", ""])
def test_only_listed_files_are_read(tmp_path: Path, name: str) -> None:
    opened = open_bundle(publish(tmp_path, write))
    with pytest.raises(BundleInvalid, match="no file"):
        opened.file(name)
    with pytest.raises(BundleInvalid, match="no file"):
        opened.read(name)


def test_a_folder_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="No such file"):
        open_bundle(tmp_path / "missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"format_version": 1', '"format_version": 2'), "format version 2; this program reads 1"),
        (('"format_version": 1,', ""), "format version None"),
        (('"threshold": 0.4', '"threshold": 1.5'), "operating_point.threshold"),
        (('"threshold": 0.4', '"threshold": NaN'), "threshold"),
        (('"low": 0.2', '"low": 0.9'), "uncertain band"),
        (('"heatmap": false', '"heatmap": false, "colour": 1'), "colour"),
        (('"model.h5"', '"../model.h5"'), "files"),
        (('"model.h5"', '"/etc/passwd"'), "files"),
        (("{", ""), "not JSON"),
        (("{", "[" * 100_000), "not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_trusted(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = publish(tmp_path, write)
    text = (path / "model.json").read_text()
    assert change[0] in text
    (path / "model.json").write_text(text.replace(*change, 1))
    with pytest.raises(BundleInvalid, match=message):
        open_bundle(path)


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/etc", "../elsewhere", "a/b", "x\0y", "ü", "-x", ".publishing-1", "x" * 999],
)
def test_current_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "current").write_text(name)
    with pytest.raises(BundleInvalid, match="current must hold the name"):
        current(tmp_path)


def test_current_never_follows_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    models = tmp_path / "models"
    models.mkdir()
    (models / "inside").symlink_to(tmp_path / "outside")
    (models / "current").write_text("inside\n")
    with pytest.raises(BundleInvalid, match="current must hold the name"):
        current(models)


def test_without_current_there_is_none(tmp_path: Path) -> None:
    assert current(tmp_path) is None
    assert current(tmp_path / "missing") is None


def test_current_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(BundleInvalid, match="cannot read"):
        current(tmp_path)
