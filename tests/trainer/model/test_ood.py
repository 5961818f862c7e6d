"""What must not be judged: the pictures that teach it, the head that knows, the known features."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from shared.preprocessing import scale
from tests.phantoms import NOT_A_CHEST_XRAY, chest_phantom, not_a_chest_xray
from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.model.inference import predict
from trainer.model.network import build_network, combine, members_of
from trainer.model.onnx_export import export_onnx, load_network
from trainer.model.ood import fit_refusal

RECIPE = Recipe(stem=8, widths="8-16-16-16", depth=1)


def split(seed: int, count: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = np.stack([chest_phantom(rng, pneumonia=bool(label)) for label in labels])
    names = [str(i) for i in range(count)]
    return Split(images, labels.astype(np.int64), np.full(count, -1), names, names)


def test_an_ensemble_refuses_as_its_first_member_does(tmp_path: Path) -> None:
    train, validation = split(1, 12), split(2, 8)
    members = [build_network(RECIPE) for _ in range(2)]
    model, _, _ = fit_refusal(combine(members), train, validation, RECIPE, images=8, epochs=1)
    h5, onnx = tmp_path / "model.h5", tmp_path / "model.onnx"
    model.save(h5)
    export_onnx(load_network(h5), onnx)
    found = predict(onnx, validation.images, maps=True)
    x = scale(validation.images)
    first, second = ([np.asarray(o) for o in m(x, training=False)] for m in members_of(model))
    mean = (first[3][:, :2] + second[2]) / 2
    assert found.features is not None
    assert found.activation_map is not None
    np.testing.assert_allclose(found.activation_map, (first[4] + second[3])[..., 0] / 2, atol=1e-4)
    np.testing.assert_allclose(found.logits[:, :2], mean, atol=1e-4)
    np.testing.assert_allclose(found.logits[:, 2], first[3][:, 2], atol=1e-4)
    np.testing.assert_allclose(found.features, first[5], atol=1e-3)


@pytest.mark.slow
def test_the_head_refuses_other_pictures_and_keeps_the_answer_about_pneumonia() -> None:
    keras.utils.set_random_seed(1)
    train, validation = split(1, 48), split(2, 24)
    network = build_network(RECIPE)
    before = np.asarray(network(validation.images[..., None] / np.float32(255))[2])
    model, refusal, unfamiliar = fit_refusal(
        network, train, validation, RECIPE, images=240, epochs=16
    )
    outputs = [np.asarray(o) for o in model(validation.images[..., None] / np.float32(255))]
    assert np.allclose(outputs[3][:, :2], before, atol=1e-4)

    # Not those it learned from. With four of four seeds each was refused, and no chest X-ray.
    rng = np.random.default_rng(5)
    for kind in NOT_A_CHEST_XRAY:
        pictures = [Image.fromarray(not_a_chest_xray(rng, kind)) for _ in range(4)]
        drawn = [np.asarray(picture.convert("L")) for picture in pictures]
        chest = np.asarray(model(np.stack(drawn)[..., None] / np.float32(255))[3])[:, 2]
        assert (chest < refusal["minimum"]).mean() > 0.5, kind
    chest = np.asarray(model(split(3, 24).images[..., None] / np.float32(255))[3])[:, 2]
    assert (chest < refusal["minimum"]).mean() < 0.2

    features = np.asarray(model(train.images[..., None] / np.float32(255))[5])
    assert np.abs(features.mean(0)).max() < 0.1
    # Few images learned from many phantoms' worth of dimensions: of others more lie far out.
    far = np.sqrt((features**2).mean(axis=1)) > unfamiliar["maximum"]
    assert far.mean() < 0.1
    strange = np.asarray(model(np.full((1, 224, 224, 1), 0.5, np.float32))[5])
    assert np.sqrt((strange**2).mean()) > unfamiliar["maximum"]
