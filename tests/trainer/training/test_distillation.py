"""Teachers: several networks answer as one, and a new one's targets are what they say."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit

from tests.service.tiny_bundle import publish_tiny, tiny_draft, tiny_network
from tests.trainer.conftest import trainer
from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.errors import TrainerError
from trainer.runs.bundles import find_teacher, open_model
from trainer.training.batches import TrainingBatches
from trainer.training.distillation import Teachers

RECIPE = Recipe(batch_size=8, mixup=1, label_smoothing=0.1)


def bundle(models: Path, gain: float) -> Path:
    return publish_tiny(models, network=tiny_network(gain))


@pytest.fixture
def split() -> Split:
    """20 normal, 10 bacterial and 10 viral images of noise."""
    labels = np.repeat([0, 1], 20)
    causes = np.repeat([-1, 0, 1], [20, 10, 10])
    images = np.random.default_rng(0).integers(0, 256, (40, 224, 224), np.uint8)
    names = [str(i) for i in range(40)]
    return Split(images, labels, causes, names, names)


def test_teachers_average_their_logits(tmp_path: Path) -> None:
    first, second = bundle(tmp_path / "a", 12), bundle(tmp_path / "b", 4)
    images = np.random.default_rng(0).random((3, 224, 224, 1), np.float32)
    images[:, 112:] += 0.5
    alone = [Teachers([open_model(path)])(images) for path in (first, second)]
    together = Teachers([open_model(first), open_model(tmp_path / "b")])
    assert together(images).shape == (3, 2)
    assert_allclose(together(images), expit(logit(alone).mean(axis=0)), rtol=1e-4)
    assert not np.allclose(alone[0], alone[1])
    assert len(set(together.digests)) == 2


def test_targets_are_what_the_teachers_say_of_the_very_views(tmp_path: Path, split: Split) -> None:
    teachers = Teachers([open_model(bundle(tmp_path, 12))])
    images, (pneumonia, viral), _ = TrainingBatches(split, RECIPE, 0, teachers)[0]
    assert_allclose(np.hstack([pneumonia, viral]), teachers(images), rtol=1e-5)
    assert pneumonia.dtype == viral.dtype == np.float32


def test_labels_are_the_rest_of_the_targets(tmp_path: Path, split: Split) -> None:
    teachers = Teachers([open_model(bundle(tmp_path, 12))])
    _, (labels, _), _ = TrainingBatches(split, RECIPE, 0)[0]
    images, (mixed, _), _ = TrainingBatches(split, replace(RECIPE, teaching=0.25), 0, teachers)[0]
    assert_allclose(mixed, 0.75 * labels + 0.25 * teachers(images)[:, :1], rtol=1e-5)


def test_a_network_without_causes_cannot_teach(tmp_path: Path) -> None:
    draft = tiny_draft().model_copy(update={"heads": ("pneumonia",), "cause_calibration": None})
    publish_tiny(tmp_path, draft)
    with pytest.raises(TrainerError, match="a teacher answers pneumonia and viral"):
        find_teacher(tmp_path)


def test_what_cannot_teach_is_said_before_anything_is_read(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = trainer(
        *("fit", "--data", tmp_path, "--models", tmp_path / "models"),
        *("--teacher", tmp_path / "nobody"),
    )
    assert done.returncode == 1
    assert "nobody is neither a bundle" in done.stderr
    assert "Reading" not in done.stdout + done.stderr


def test_a_models_folder_stands_for_its_current_bundle(tmp_path: Path) -> None:
    path = bundle(tmp_path, 12)
    assert find_teacher(tmp_path) == find_teacher(path) == path


def test_a_share_of_teaching_needs_a_teacher(tmp_path: Path) -> None:
    done = trainer("fit", "--data", tmp_path, "--models", tmp_path, "--teaching", "0.5")
    assert done.returncode == 2
    assert "--teaching needs a --teacher" in done.stderr
