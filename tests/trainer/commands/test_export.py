"""Networks from elsewhere become bundles that mean what they say, or are refused."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from shared.bundle.store import Bundle, current, open_bundle
from shared.preprocessing import scale
from tests.trainer.conftest import trainer
from trainer.data.dataset import find_dataset
from trainer.data.loading import load_split


def brightness(gain: float, activation: str | None = "sigmoid") -> keras.Model:
    """A network that looks at the brightness of the middle, which tells most phantoms apart."""
    model = keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            layers.Cropping2D(((60, 54), (40, 40))),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation=activation),
        ]
    )
    model.layers[-1].set_weights(
        [np.array([[gain]], np.float32), np.array([-gain / 2], np.float32)]
    )
    return model


def published(models: Path) -> Bundle:
    path = current(models)
    assert path is not None
    return open_bundle(path)


@pytest.mark.parametrize(("gain", "positive"), [(-40.0, "PNEUMONIA"), (40.0, "NORMAL")])
def test_answers_the_wrong_way_round_are_refused_and_turned(
    gain: float, positive: str, phantoms: Path, tmp_path: Path
) -> None:
    h5, models = tmp_path / "model.h5", tmp_path / "models"
    brightness(gain).save(h5)
    asked = ("export", h5, "--models", models, "--data", phantoms, "--resamples", "20")
    done = trainer(*asked, "--positive", positive)
    assert done.returncode == 1
    remedy = "--positive NORMAL" if positive == "PNEUMONIA" else "Leave out --positive"
    assert remedy in done.stderr
    assert "on test the area under the ROC curve is 0.0" in done.stderr
    assert current(models) is None
    done = trainer(*asked, "--positive", "NORMAL" if positive == "PNEUMONIA" else "PNEUMONIA")
    assert done.returncode == 0, done.stderr
    manifest = published(models).manifest
    assert manifest.metrics["roc_auc"].value > 0.9
    assert manifest.lacks == ("calibration", "refusal", "familiarity")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_what_is_published_is_what_was_given(
    activation: str | None, phantoms: Path, tmp_path: Path
) -> None:
    """A .keras becomes an .h5 that Keras loads as it is, with P(pneumonia) as its output."""
    given, models = tmp_path / "model.keras", tmp_path / "models"
    brightness(40.0, activation).save(given)
    done = trainer("export", given, "--models", models)
    assert done.returncode == 0, done.stderr
    assert "nothing is known of how good the network is" in done.stdout
    assert "the bundle lacks calibration, refusal, familiarity, figures" in done.stdout
    bundle = published(models)
    assert bundle.manifest.lacks == ("calibration", "refusal", "familiarity", "figures")
    images = scale(load_split(find_dataset(phantoms), "test")[0].images)
    kept = keras.models.load_model(bundle.file("model.h5"), compile=False)(images, training=False)
    expected = brightness(40.0)(images, training=False)
    np.testing.assert_allclose(kept, expected, atol=1e-5)
