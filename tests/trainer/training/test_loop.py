"""What a step, an epoch and a whole training leave."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.phantoms import chest_phantom
from tests.trainer.conftest import PLAIN_VIEWS
from trainer.model.backend import load_keras

load_keras()

import keras  # noqa: E402

from shared.preprocessing import scale  # noqa: E402
from trainer.config.recipe import Recipe  # noqa: E402
from trainer.data.dataset import Split  # noqa: E402
from trainer.errors import TrainerError  # noqa: E402
from trainer.evaluation.heatmap_checks import randomised_maps, similarity  # noqa: E402
from trainer.model.network import build_network, training_view  # noqa: E402
from trainer.model.onnx_export import named_outputs  # noqa: E402
from trainer.training import loop  # noqa: E402
from trainer.training.averaging import RunningAverage  # noqa: E402
from trainer.training.checkpoint import ResumeMismatch  # noqa: E402
from trainer.training.loop import (  # noqa: E402
    FittedMember,
    compile_learner,
    fit_member,
    predict_logits,
)


def phantoms(seed: int, count: int) -> Split:
    """Phantoms, every other one with pneumonia of unknown cause."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = np.stack([chest_phantom(rng, pneumonia=bool(label)) for label in labels])
    names = [str(i) for i in range(count)]
    return Split(images, labels, np.full(count, -1), names, names)


def test_the_average_follows_the_weights_in_place() -> None:
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    average = RunningAverage(network, 0.9)
    average.set_model(network)
    expected, kept = np.array(average.weights[0]), average.weights[0]
    for step in range(1, 200):
        value = np.full((2, 1), step % 7, np.float32)
        network.set_weights([value, np.zeros(1)])
        average.on_train_batch_end(step)
        decay = min(0.9, step / (step + 10))
        expected = decay * expected + (1 - decay) * value
    assert average.steps == 199
    assert average.weights[0] is kept
    np.testing.assert_allclose(kept, expected, rtol=1e-5)
    np.testing.assert_array_equal(network.get_weights()[0], value)


QUICK = Recipe(
    sizes="64",
    stem=4,
    widths="4-4-4-4",
    depth=1,
    epochs=2,
    batch_size=4,
    mixed_precision=False,
    **PLAIN_VIEWS,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a member was trained, and may be found again."""
    return tmp_path_factory.mktemp("member")


@pytest.fixture(scope="module")
def member(folder: Path) -> FittedMember:
    """A member that was trained quickly."""
    return fit_member(QUICK, phantoms(0, 8), folder, 0, progress=False)


def test_a_member_is_its_last_average_and_is_found_again(
    member: FittedMember, folder: Path
) -> None:
    again = fit_member(QUICK, phantoms(0, 8), folder, 0, progress=False)
    assert [row["epoch"] for row in again.history] == [1, 2]
    assert again.history == member.history
    for one, other in zip(member.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("member")
def test_a_checkpoint_of_other_images_is_not_gone_on_with(folder: Path) -> None:
    others = replace(phantoms(0, 8), paths=[f"other {i}" for i in range(8)])
    with pytest.raises(ResumeMismatch, match="digest of their names was"):
        fit_member(QUICK, others, folder, 0, progress=False)


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    wild = replace(QUICK, learning_rate=1.0, warmup=0.0, weight_decay=1e30)
    with pytest.raises(TrainerError, match=r"diverged in epoch 1.*--learning-rate"):
        fit_member(wild, phantoms(0, 32), tmp_path, 0, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_network_learns_to_tell_held_out_phantoms_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five seeds none came below an AUC of 0.92; chance is 0.5, give or take 0.07."""
    # So few steps would not bring the running moments of the normalisation near the true ones.
    quick = partial(keras.layers.BatchNormalization, momentum=0.8)
    monkeypatch.setattr(loop, "fast_normalisation", lambda: quick)
    recipe = Recipe(
        stem=8,
        widths="8-16-16-16",
        depth=1,
        epochs=5,
        batch_size=8,
        learning_rate=3e-3,
        averaging=0.9,
        dropout=0.0,
        label_smoothing=0.0,
        mixed_precision=False,
        **PLAIN_VIEWS,
    )
    held_out = phantoms(3, 64)
    member = fit_member(recipe, phantoms(1, 96), tmp_path, 0, progress=False)
    assert [row["epoch"] for row in member.history] == [1, 2, 3, 4, 5]
    logits = predict_logits(member.model, held_out.images)[:, 0]
    assert roc_auc_score(held_out.labels, logits) > 0.8

    view = keras.Model(member.model.input, named_outputs(member.model)["activation_map"])
    ill = held_out.images[held_out.labels == 1]
    maps = np.asarray(view(scale(ill), training=False))[..., 0]
    likeness = [similarity(maps, randomised_maps(member.model, ill, seed)) for seed in range(4)]
    assert abs(np.mean(likeness)) < 0.4


def test_compiling_asks_for_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PyTorch, and on JAX without a GPU, Keras raises where it is asked for them."""
    monkeypatch.delattr(keras.distribution, "list_devices")
    recipe = Recipe(stem=8, widths="8-8-8-8", depth=1)
    learner = training_view(build_network(recipe))
    compile_learner(learner, recipe, steps=4)
    assert learner.compiled


def test_the_step_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, step = [], keras.Model.train_step

    def train_step(model: keras.Model, data: object) -> object:
        traced.append(data)
        return step(model, data)

    monkeypatch.setattr(keras.Model, "train_step", train_step)
    source = keras.Input((2,))
    learner = keras.Model(source, [keras.layers.Dense(1, "sigmoid")(source) for _ in range(2)])
    compile_learner(learner, QUICK, steps=2)
    learner.fit(np.ones((4, 2)), [np.ones((4, 1))] * 2, epochs=2, verbose=0)
    assert len(traced) == 1
