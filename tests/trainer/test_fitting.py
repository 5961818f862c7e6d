"""What a step and an epoch leave: the average of the weights, and the figures of validation."""

import numpy as np
import pytest

from trainer.backend import load_keras

load_keras()

import keras  # noqa: E402

from trainer import fitting  # noqa: E402
from trainer.dataset import Split  # noqa: E402
from trainer.fitting import RunningAverage, compile_learner  # noqa: E402
from trainer.network import build_network, training_view  # noqa: E402
from trainer.recipe import Recipe  # noqa: E402


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


def test_compiling_asks_for_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PyTorch, and on JAX without a GPU, Keras raises where it is asked for them."""
    monkeypatch.delattr(keras.distribution, "list_devices")
    recipe = Recipe(stem=8, widths="8-8-8-8", depth=1)
    learner = training_view(build_network(recipe))
    compile_learner(learner, recipe, steps=4)
    assert learner.compiled


def test_validation_weighs_the_classes_alike_whatever_their_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    logits = rng.normal(2 * labels - 1, 1.5).astype(np.float32)
    validated = []
    for times in (1, 9):
        chosen = np.concatenate([np.flatnonzero(labels == 0), *[np.flatnonzero(labels)] * times])
        names = [str(i) for i in chosen]
        split = Split(np.zeros((len(chosen), 1, 1), np.uint8), labels[chosen], chosen, names, names)
        shown = np.stack([logits[chosen]] * 2, axis=1)
        monkeypatch.setattr(fitting, "predict_logits", lambda *_, shown=shown: shown)
        validated.append(fitting._validate(keras.Sequential(), split))
    even, uneven = validated
    assert uneven == pytest.approx(even, rel=0.01)
