"""The folders and archives that users have, whole and damaged."""

import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier
from typing import IO

import numpy as np
import PIL
import pytest
from PIL import Image

from shared import imaging
from shared.imaging.decode import decode
from shared.preprocessing import resize
from shared.runtime.whole_file import replacing
from trainer.data import loading
from trainer.data.dataset import find_dataset
from trainer.data.loading import load_split
from trainer.data.patients import cause_of, patient_of
from trainer.errors import TrainerError


@pytest.fixture
def copy(phantoms: Path, tmp_path: Path) -> Path:
    """A copy of the phantoms that a test may damage."""
    return Path(shutil.copytree(phantoms, tmp_path / "data" / "chest_xray"))


def test_images_come_decoded_as_the_service_decodes_them(phantoms: Path) -> None:
    split, broken = load_split(find_dataset(phantoms), "train")
    assert not broken
    assert split.images.shape == (48, 224, 224)
    assert split.images.dtype == np.uint8
    assert split.labels.tolist() == [0] * 24 + [1] * 24
    assert split.sizes.tolist() == [[224, 224]] * 48
    first = phantoms / split.paths[0]
    np.testing.assert_array_equal(split.images[0], resize(decode(first.read_bytes())))


def test_causes_come_from_the_names(phantoms: Path) -> None:
    split, _ = load_split(find_dataset(phantoms), "train")
    assert set(split.causes[split.labels == 0].tolist()) == {-1}
    for path, cause in zip(split.paths, split.causes.tolist(), strict=True):
        assert cause == (0 if "bacteria" in path else 1 if "virus" in path else -1)


@pytest.mark.parametrize(
    ("path", "patient", "cause"),
    [
        ("train/PNEUMONIA/person12_bacteria_46.jpeg", "train/person12", 0),
        ("train/PNEUMONIA/person12_virus_6.jpeg", "train/person12", 1),
        ("test/PNEUMONIA/person12_virus_6.jpeg", "test/person12", 1),
        ("train/PNEUMONIA/person1_virus_6_2.jpeg", "train/person1", 1),
        ("train/NORMAL/IM-0115-0001.jpeg", "train/im-115", -1),
        ("train/NORMAL/IM-0429-0001-0002.jpeg", "train/im-429", -1),
        ("train/NORMAL/NORMAL2-IM-0115-0001.jpeg", "train/normal2-im-115", -1),
        ("train/NORMAL/IM-1.2.840.png", "train/im-1", -1),
        ("NORMAL/00001305_001.jpg", "1305", -1),
        ("test/PNEUMONIA/00001305_012.png", "test/1305", -1),
        ("train/NORMAL/00001305.png", "train/NORMAL/00001305.png", -1),
        ("train/NORMAL/scan 7.png", "train/NORMAL/scan 7.png", -1),
    ],
)
def test_patient_and_cause_of_a_name(path: str, patient: str, cause: int) -> None:
    assert patient_of(path) == patient
    assert cause_of(path) == cause


def test_archive_with_nested_copies_and_litter(phantoms: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(phantoms.rglob("*.jpeg")):
            name = path.relative_to(phantoms).as_posix()
            for place in ("chest_xray", "chest_xray/chest_xray"):
                file.write(path, f"{place}/{name}")
            stub = f"__MACOSX/chest_xray/{Path(name).parent}/._{path.name}"
            file.writestr(stub, b"not an image")
        file.writestr("chest_xray/train/NORMAL/.DS_Store", b"litter")
        file.writestr("chest_xray/train/NORMAL/Thumbs.db", b"litter")
    zipped, broken = load_split(find_dataset(archive), "train")
    plain, _ = load_split(find_dataset(phantoms), "train")
    assert not broken
    assert zipped.paths == plain.paths
    assert zipped.patients == plain.patients
    np.testing.assert_array_equal(zipped.images, plain.images)


def zip_as(folder: Path, archive: Path, rename: Callable[[str], str]) -> Path:
    """A .zip of a folder's images under other names."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.jpeg")):
            member = zipfile.ZipInfo("x")
            member.filename = rename(path.relative_to(folder.parent).as_posix())
            file.writestr(member, path.read_bytes())
    return archive


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("/", "\\"),
        lambda name: f"./{name}",
        lambda name: f"/{name}",
        lambda name: name.replace("NORMAL", "normal").replace("PNEUMONIA", "Pneumonia"),
        lambda name: name.replace("/train/", "/Train/").replace("/test/", "/TEST/"),
    ],
    ids=["backslashes", "dot", "absolute", "class", "split"],
)
def test_archives_as_other_programs_write_them(
    rename: Callable[[str], str], phantoms: Path, tmp_path: Path
) -> None:
    dataset = find_dataset(zip_as(phantoms, tmp_path / "data.zip", rename))
    assert {split: sum(map(len, of.values())) for split, of in dataset.files.items()} == {
        "train": 48,
        "val": 4,
        "test": 16,
    }
    split, broken = load_split(dataset, "train", tmp_path / "cache")
    plain, _ = load_split(find_dataset(phantoms), "train")
    assert not broken
    assert [path.lower() for path in split.paths] == [path.lower() for path in plain.paths]
    np.testing.assert_array_equal(split.images, plain.images)
    np.testing.assert_array_equal(split.labels, plain.labels)


def link_splits(source: Path, data: Path) -> None:
    data.mkdir()
    for name in ("train", "val", "test"):
        (data / name).symlink_to(source / name)


def link_classes(source: Path, data: Path) -> None:
    for name in ("train", "val", "test"):
        (data / name).mkdir(parents=True)
        for label in ("NORMAL", "PNEUMONIA"):
            (data / name / label).symlink_to(source / name / label)


def link_in_circles(source: Path, data: Path) -> None:
    shutil.copytree(source, data)
    (data / "again").symlink_to(data)
    (data / "train" / "NORMAL" / "up").symlink_to(data / "train")
    (data / "test" / "across").symlink_to(data / "train")
    (data / "train" / "across").symlink_to(data / "test")


@pytest.mark.parametrize("link", [link_splits, link_classes, link_in_circles])
def test_links_are_followed_and_come_to_an_end(
    link: Callable[[Path, Path], None], phantoms: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    link(phantoms, data)
    dataset = find_dataset(data)
    plain = find_dataset(phantoms)
    assert (dataset.files, dataset.root) == (plain.files, plain.root)


def test_one_folder_may_be_two_splits(phantoms: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(phantoms / "train")
    (tmp_path / "test").symlink_to(phantoms / "train")
    dataset = find_dataset(tmp_path)
    assert len(dataset.names("train")) == len(dataset.names("test")) == 48


def test_a_link_to_nowhere_is_skipped_and_listed(copy: Path, tmp_path: Path) -> None:
    (copy / "train" / "NORMAL" / "gone.jpeg").symlink_to(tmp_path / "gone.jpeg")
    split, broken = load_split(find_dataset(copy), "train", tmp_path / "cache")
    assert len(split) == 48
    assert [file.path for file in broken] == ["train/NORMAL/gone.jpeg"]


def test_an_archive_in_an_archive_is_said(phantoms: Path, tmp_path: Path) -> None:
    inner = zip_as(phantoms, tmp_path / "inner.zip", str)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(inner, "download/chest_xray.zip")
    with pytest.raises(TrainerError, match=r"another archive, download/chest_xray.zip.*Take it"):
        find_dataset(tmp_path / "outer.zip")
    (tmp_path / "folder").mkdir()
    inner.rename(tmp_path / "folder" / "chest_xray.zip")
    with pytest.raises(TrainerError, match=r"Give that one: --data .*/folder/chest_xray.zip"):
        find_dataset(tmp_path / "folder")


def test_classes_without_splits_are_told_what_to_become(phantoms: Path, tmp_path: Path) -> None:
    for label in ("NORMAL", "PNEUMONIA"):
        shutil.copytree(phantoms / "test" / label, tmp_path / label.lower())
    dataset = find_dataset(tmp_path)
    assert len(dataset.names("")) == 16
    expected = r"has NORMAL and PNEUMONIA at its top, and no train. To train, make a folder .*evalu"
    with pytest.raises(TrainerError, match=expected):
        load_split(dataset, "train")


def test_mostly_broken_class_in_small_letters_is_an_error(copy: Path) -> None:
    folder = (copy / "train" / "PNEUMONIA").rename(copy / "train" / "pneumonia")
    for path in sorted(folder.iterdir())[:10]:
        path.write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(TrainerError, match=r"train/PNEUMONIA: 10 of 24 files"):
        load_split(find_dataset(copy), "train")


@pytest.mark.parametrize("depth", ["", "..", "../.."])
def test_folder_is_found_from_above(copy: Path, depth: str) -> None:
    dataset = find_dataset(copy / depth)
    assert {split: sum(map(len, of.values())) for split, of in dataset.files.items()} == {
        "train": 48,
        "val": 4,
        "test": 16,
    }


def test_classes_at_the_top_are_one_split(phantoms: Path) -> None:
    split, _ = load_split(find_dataset(phantoms / "test"), "")
    assert split.labels.tolist() == [0] * 8 + [1] * 8


def test_broken_and_foreign_files_are_skipped_and_listed(copy: Path) -> None:
    folder = copy / "train" / "NORMAL"
    victim = sorted(folder.iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:800])
    (folder / "notes.txt").write_text("read me")
    (folder / "empty.jpeg").touch()
    split, broken = load_split(find_dataset(copy), "train")
    assert len(split) == 47
    assert {file.path for file in broken} == {
        f"train/NORMAL/{victim.name}",
        "train/NORMAL/notes.txt",
        "train/NORMAL/empty.jpeg",
    }
    assert all(file.reason for file in broken)


def test_damaged_members_of_an_archive_are_skipped_and_listed(
    phantoms: Path, tmp_path: Path
) -> None:
    """As they come: with bytes lost, encrypted, and packed by a method that nobody has."""
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted((phantoms / "train").rglob("*.jpeg")):
            file.write(path, path.relative_to(phantoms).as_posix())
    with zipfile.ZipFile(archive) as file:
        lost, locked, foreign = file.infolist()[:3]
        directory = file.start_dir
    content = bytearray(archive.read_bytes())
    body = lost.header_offset + 30 + len(lost.filename)
    content[body : body + 40] = b"\xff" * 40
    entry = {m: content.index(m.filename.encode(), directory) - 46 for m in (locked, foreign)}
    content[locked.header_offset + 6] |= 1  # the flag of an encrypted member, told twice
    content[entry[locked] + 8] |= 1
    content[entry[foreign] + 10] = 99
    archive.write_bytes(content)
    split, broken = load_split(find_dataset(archive), "train")
    assert len(split) == 45
    assert [file.path for file in broken] == [m.filename for m in (lost, locked, foreign)]
    for skipped, reason in zip(broken, ("decompressing", "encrypted", "compression"), strict=True):
        assert reason in skipped.reason


def test_archive_with_a_damaged_directory_is_named(phantoms: Path, tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(next(phantoms.rglob("*.jpeg")), "chest_xray/train/NORMAL/brühl.jpeg")
    content = archive.read_bytes()
    at = content.rindex("ü".encode())
    archive.write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    with pytest.raises(TrainerError, match=r"data.zip is not a readable \.zip"):
        find_dataset(archive)


def test_mostly_broken_class_is_an_error(copy: Path) -> None:
    for path in sorted((copy / "train" / "PNEUMONIA").iterdir())[:10]:
        path.write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(TrainerError, match=r"train/PNEUMONIA: 10 of 24 files"):
        load_split(find_dataset(copy), "train")


def test_missing_and_empty_class_folders_are_named(copy: Path) -> None:
    shutil.rmtree(copy / "train" / "NORMAL")
    with pytest.raises(TrainerError, match=r"train/NORMAL is missing or empty"):
        load_split(find_dataset(copy), "train")
    (copy / "train" / "NORMAL").mkdir()
    with pytest.raises(TrainerError, match=r"train/NORMAL is missing or empty"):
        load_split(find_dataset(copy), "train")


def test_wrong_paths_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="does not exist"):
        find_dataset(tmp_path / "nowhere")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpeg").touch()
    with pytest.raises(TrainerError, match=r"found photos; expected the folders train and test"):
        find_dataset(tmp_path)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainerError, match=r"not a readable \.zip"):
        find_dataset(tmp_path / "cut.zip")


def test_cache_spares_decoding_until_a_file_changes(copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (copy / "train" / "NORMAL" / "notes.txt").write_text("read me")
    first, broken = load_split(find_dataset(copy), "train", cache)
    [stored] = cache.iterdir()
    written = stored.stat().st_mtime_ns
    again, still_broken = load_split(find_dataset(copy), "train", cache)
    assert stored.stat().st_mtime_ns == written
    assert still_broken == broken
    assert (again.paths, again.patients) == (first.paths, first.patients)
    np.testing.assert_array_equal(again.images, first.images)
    changed = sorted((copy / "train" / "NORMAL").glob("*.jpeg"))[0]
    Image.new("L", (224, 224), 255).save(changed)
    fresh, _ = load_split(find_dataset(copy), "train", cache)
    assert fresh.images[0].min() == 255


def test_cache_outlives_no_change_of_what_decodes(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = find_dataset(phantoms)
    load_split(dataset, "val", tmp_path)
    monkeypatch.setattr(loading, "decoding_version", lambda: "another")
    load_split(dataset, "val", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_version_of_decoding_changes_with_each_of_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "imaging"
    shutil.copytree(Path(imaging.__file__).parent, room)
    modules = sorted(room.rglob("*.py"))
    seen = {loading.decoding_version(), loading.decoding_version(room)}
    assert len(seen) == 1
    for module in modules:
        with module.open("a") as file:
            file.write("# changed\n")
        seen.add(loading.decoding_version(room))
    monkeypatch.setattr(PIL, "__version__", "0")
    seen.add(loading.decoding_version(room))
    assert len(seen) == len(modules) + 2


def test_patients_and_causes_are_read_anew_from_cached_names(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = find_dataset(phantoms)
    load_split(dataset, "val", tmp_path)
    monkeypatch.setattr(loading, "patient_of", lambda path: f"patient of {path}")
    monkeypatch.setattr(loading, "cause_of", lambda path: 1)
    split, _ = load_split(dataset, "val", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert split.patients == [f"patient of {path}" for path in split.paths]
    assert split.causes.tolist() == [-1, -1, 1, 1]


def test_damaged_cache_is_replaced(phantoms: Path, tmp_path: Path) -> None:
    dataset = find_dataset(phantoms)
    load_split(dataset, "val", tmp_path)
    [stored] = tmp_path.iterdir()
    stored.write_bytes(stored.read_bytes()[:1000])
    split, _ = load_split(dataset, "val", tmp_path)
    assert len(split) == 4
    assert stored.stat().st_size > 1000


def test_processes_that_share_a_number_share_a_cache(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of two containers may; threads of one process stand for them."""
    barrier = Barrier(8)

    def all_decoded(stored: Path) -> AbstractContextManager[IO[bytes]]:
        barrier.wait(60)
        return replacing(stored)

    def load(_: int) -> int:
        return len(load_split(find_dataset(phantoms), "train", tmp_path)[0])

    monkeypatch.setattr(loading, "replacing", all_decoded)
    with ThreadPoolExecutor(8) as pods:
        assert set(pods.map(load, range(8))) == {48}
    [stored] = tmp_path.iterdir()
    assert stored.suffix == ".npz"


def test_cache_that_cannot_be_written_names_the_folder(phantoms: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainerError, match=r"cannot be kept in .*file/cache.*--work"):
        load_split(find_dataset(phantoms), "val", tmp_path / "file" / "cache")


def test_limit_takes_the_same_spread_of_each_class(phantoms: Path) -> None:
    dataset = find_dataset(phantoms)
    split, _ = load_split(dataset, "train", limit=5)
    assert split.labels.tolist() == [0] * 5 + [1] * 5
    whole, _ = load_split(dataset, "train")
    assert split.paths[0] == whole.paths[0]
    assert split.paths[-1] == whole.paths[-1]


def test_the_real_folders(xray_data: Path) -> None:
    dataset = find_dataset(xray_data / "chest_xray")
    assert {s: {c: len(n) for c, n in of.items()} for s, of in dataset.files.items()} == {
        "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
        "val": {"NORMAL": 8, "PNEUMONIA": 8},
        "test": {"NORMAL": 78, "PNEUMONIA": 132},
    }
    names = [name for name, _ in dataset.names("train")]
    assert len({patient_of(name) for name in names}) == 2846
    assert sum(cause_of(name) == 1 for name in names) == 1345
    split, broken = load_split(dataset, "val")
    assert (len(split), broken) == (16, [])
