"""What a models folder asks for, in all the states that people leave one in."""

from pathlib import Path

import pytest

from service.inference.model_watcher import DEFAULT_BUNDLE, Engine
from service.inference.models_folder import NO_FOLDER, Asked, asked_for
from tests.service.conftest import Start
from tests.service.tiny_bundle import publish_tiny, tiny_draft

DEFAULT = Path("elsewhere")


def complaint(models: Path) -> str:
    asked = asked_for(models, DEFAULT)
    assert asked.bundle is None
    assert asked.complaint is not None
    return asked.complaint


def test_the_bundle_that_current_names_is_asked_for(tmp_path: Path) -> None:
    publish_tiny(tmp_path, tiny_draft(threshold=0.3))
    bundle = publish_tiny(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"beside it")
    assert asked_for(tmp_path, DEFAULT) == Asked(bundle)


def test_a_folder_that_is_a_bundle_is_asked_for_itself(tmp_path: Path) -> None:
    bundle = publish_tiny(tmp_path)
    assert asked_for(bundle, DEFAULT) == Asked(bundle)


@pytest.mark.parametrize("litter", ["", "._model.h5", ".trainer", "lost+found"])
def test_an_empty_folder_asks_for_nothing(tmp_path: Path, litter: str) -> None:
    (tmp_path / litter).mkdir(exist_ok=True)
    assert asked_for(tmp_path, DEFAULT) == Asked()


def test_the_bundle_that_ships_is_no_request(tmp_path: Path) -> None:
    publish_tiny(tmp_path).rename(tmp_path / "default")
    (tmp_path / "current").unlink()
    assert asked_for(tmp_path, tmp_path / "default") == Asked()


def test_a_bundle_without_current_is_named_with_what_to_do(tmp_path: Path) -> None:
    name = publish_tiny(tmp_path).name
    (tmp_path / "current").unlink()
    assert f"write {name} into it" in complaint(tmp_path)


@pytest.mark.parametrize("name", ["model.h5", "Model.H5", "model.keras", "net.hdf5"])
def test_a_bare_keras_file_is_named_with_the_command_to_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"whatever")
    (tmp_path / f"._{name}").write_bytes(b"what a Mac leaves")
    said = complaint(tmp_path)
    assert f"python -m trainer export {name}" in said
    assert f"export /models/{name} --models /models" in said
    assert "._" not in said


def test_what_else_lies_there_is_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"file{number}.onnx").write_bytes(b"")
    assert "file0.onnx, file1.onnx, file2.onnx and 2 more" in complaint(tmp_path)


def test_a_file_in_place_of_the_folder_is_told_from_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    assert "export model.keras" in complaint(tmp_path / "model.keras")
    assert "notes.txt, not a folder" in complaint(tmp_path / "notes.txt")
    assert complaint(tmp_path / "gone") == NO_FOLDER


def test_a_bare_network_is_not_served_and_the_probe_says_so(start: Start, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "model.h5").write_bytes(b"whatever")
    ready = start(models=models).get("/readyz").json()
    assert "trainer export model.h5" in ready["complaint"]
    assert ready["model"]


def test_a_bundle_named_directly_is_served_by_its_own_manifest() -> None:
    """And not the bare .h5 that lies in it."""
    engine = Engine(DEFAULT_BUNDLE)
    engine.look()
    assert engine.complaint is None
    assert engine.model is not None
    assert engine.model.source == DEFAULT_BUNDLE
    assert engine.model.manifest.refusal is not None
