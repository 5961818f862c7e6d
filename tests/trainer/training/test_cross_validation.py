"""Every training image is answered by networks that did not learn from its patient."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.bundle.manifest import Data
from tests.trainer.conftest import PLAIN_VIEWS
from trainer.config.options import Options
from trainer.config.recipe import Recipe
from trainer.data.audit import audit
from trainer.data.dataset import Split
from trainer.data.preparation import Prepared
from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402

from trainer.training import fold  # noqa: E402
from trainer.training.cross_validation import cross_validate  # noqa: E402
from trainer.training.loop import FittedMember  # noqa: E402

RECIPE = Recipe(
    sizes="64",
    stem=4,
    widths="4-4-4-4",
    depth=1,
    epochs=1,
    batch_size=4,
    mixed_precision=False,
    **PLAIN_VIEWS,
)
OPTIONS = Options(folds=2)


@pytest.fixture
def prepared() -> Prepared:
    """16 images of noise; the last four ill ones are of a machine that stands for the illness."""
    labels = np.arange(16) // 8
    images = np.random.default_rng(0).integers(0, 256, (16, 224, 224), np.uint8)
    names = [f"train/person{i}" for i in range(16)]
    split = Split(images, labels, np.full(16, -1), names, names)
    machines = np.arange(16) >= 12
    found = audit({"train": split}, 0, [])
    return Prepared({"train": split}, [], machines, ~machines, found, Data())


def test_all_are_answered_once_and_an_unknown_machine_too(
    prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = cross_validate(prepared, RECIPE, OPTIONS, tmp_path)
    assert found.logits.shape == (1, 16, 2)
    assert np.isfinite(found.logits).all()
    assert (found.logits != 0).all()
    np.testing.assert_array_equal(found.machines, found.logits[:, 12:])
    assert {path.name for path in tmp_path.iterdir()} == {"fold-1", "fold-2"}

    (tmp_path / "fold-1" / "member-1" / "answers.npz").write_bytes(b"damaged")
    capsys.readouterr()
    again = cross_validate(prepared, RECIPE, OPTIONS, tmp_path)
    assert "epoch" not in capsys.readouterr().err  # its checkpoint is whole
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-5)


def test_a_machine_that_is_learned_from_is_held_out_whole_once_more(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks that learn nothing: what matters is from whom they would, and whom they answer."""
    learned: dict[Path, list[str]] = {}

    def note(recipe: Recipe, train: Split, folder: Path, *_: object, **__: object) -> FittedMember:
        learned[folder] = train.paths
        folder.mkdir(parents=True)
        image = keras.Input((224, 224, 1))
        pooled = keras.layers.AveragePooling2D(56)(image)
        logits = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(pooled))
        return FittedMember(keras.Model(image, logits), [])

    monkeypatch.setattr(fold, "fit_member", note)
    kept = replace(prepared, learned=np.ones(16, bool))
    recipe, options = replace(RECIPE, sizes="64-96"), replace(OPTIONS, machines="weigh")
    found = cross_validate(kept, recipe, options, tmp_path)
    assert found.logits.shape == (2, 16, 2)
    assert found.machines.shape == (2, 4, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"fold-1", "fold-2", "machines"}
    assert not np.array_equal(found.machines, found.logits[:, 12:])

    everyone = prepared.splits["train"].paths
    answered = {folder: np.load(folder / fold.ANSWERS)["paths"].tolist() for folder in learned}
    assert sorted(everyone + everyone[12:]) == sorted(
        path for folder, paths in answered.items() if folder.name == "member-1" for path in paths
    )
    assert len(learned) == 6
    for folder, paths in learned.items():
        assert sorted(paths + answered[folder]) == sorted(everyone)
