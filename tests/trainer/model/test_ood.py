"""What must not be judged: the pictures that teach it, the head that knows, the known features."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.bundle.manifest import OperatingPoint, Refusal, Unfamiliar
from shared.interpretation import Interpretation
from shared.preprocessing import scale
from tests.phantoms import NOT_A_CHEST_XRAY, chest_phantom, not_a_chest_xray
from trainer.config.recipe import Recipe
from trainer.data.dataset import Split
from trainer.model.inference import predict
from trainer.model.keras_file import load_network
from trainer.model.network import build_network, combine, members_of
from trainer.model.onnx_export import export_onnx, heads_of
from trainer.model.ood import fit_refusal

Grey = NDArray[np.uint8]
POINT = OperatingPoint(threshold=0.5, rule="", low=0.5, high=0.5)
RECIPE = Recipe(sizes="96", stem=8, widths="8-16-16-16", depth=1)


def split(seed: int, count: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = np.stack([chest_phantom(rng, pneumonia=bool(label)) for label in labels])
    names = [str(i) for i in range(count)]
    return Split(images, labels.astype(np.int64), np.full(count, -1), names, names)


@dataclass(frozen=True)
class Judge:
    """A network, or an ensemble of two whose first member, knows whom to judge."""

    model: keras.Model
    refusal: dict[str, Any]
    unfamiliar: dict[str, Any]
    held_out: Split


@pytest.fixture(scope="module")
def judge() -> Judge:
    """One that was shown X-rays that it must not judge."""
    small, held_out = replace(RECIPE, sizes="64"), split(2, 40)
    members = combine([build_network(small) for _ in range(2)])
    unlike = split(3, 8).images
    model, refusal, unfamiliar = fit_refusal(
        members, split(1, 12), held_out, small, images=16, epochs=1, unlike=unlike
    )
    assert heads_of(model) == ("pneumonia", "viral", "chest_xray", "familiar")
    assert unfamiliar["weight"] > 0
    return Judge(model, refusal, unfamiliar, held_out)


def test_an_ensemble_judges_as_its_first_member_does(judge: Judge, tmp_path: Path) -> None:
    model, images = judge.model, judge.held_out.images[:8]
    h5, onnx = tmp_path / "model.h5", tmp_path / "model.onnx"
    model.save(h5)
    export_onnx(load_network(h5), onnx)
    found = predict(onnx, images, maps=True)
    x = scale(images)
    first, second = ([np.asarray(o) for o in m(x, training=False)] for m in members_of(model))
    mean = (first[-3][:, :2] + second[2]) / 2
    assert found.features is not None
    assert found.activation_map is not None
    np.testing.assert_allclose(found.activation_map, (first[-2] + second[3]) / 2, atol=1e-4)
    np.testing.assert_allclose(found.logits[:, :2], mean, atol=1e-4)
    np.testing.assert_allclose(found.logits[:, 2:], first[-3][:, 2:], atol=1e-4)
    np.testing.assert_allclose(found.features, first[-1], atol=1e-3)


def test_as_few_held_out_xrays_are_refused_and_flagged_as_the_limits_say(judge: Judge) -> None:
    check_limits(judge)


def check_limits(judge: Judge) -> None:
    """No more of the held-out X-rays than those at a limit itself, up to the last digit."""
    rule = Interpretation(
        heads_of(judge.model),
        POINT,
        refusal=Refusal(**judge.refusal),
        unfamiliar=Unfamiliar(**judge.unfamiliar),
    )
    first = members_of(judge.model)[0]
    *_, logits, _, features = (np.asarray(o) for o in first(scale(judge.held_out.images)))
    answers = rule.answer(logits, features)
    assert answers.refused is not None
    assert answers.unfamiliar is not None
    assert answers.refused.sum() <= 1
    assert answers.unfamiliar.sum() <= 1


@pytest.mark.slow
def test_the_head_refuses_other_pictures_and_keeps_the_answer_about_pneumonia() -> None:
    keras.utils.set_random_seed(1)
    train, validation = split(1, 48), split(2, 24)
    network = build_network(RECIPE)
    before = np.asarray(network(validation.images[..., None] / np.float32(255))[2])
    model, refusal, unfamiliar = fit_refusal(
        network, train, validation, RECIPE, images=240, epochs=16
    )
    assert heads_of(model) == ("pneumonia", "viral", "chest_xray")
    assert unfamiliar["weight"] == 0
    check_limits(Judge(model, refusal, unfamiliar, validation))
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


@pytest.mark.slow
def test_xrays_like_those_that_it_must_not_judge_are_flagged_in_another_style_too() -> None:
    """Children against adults, in small: phantoms, and phantoms turned into something else by
    anatomy alone (a broad dark band across), of which others are shown brighter and with a
    margin."""
    keras.utils.set_random_seed(1)
    train, held_out = split(1, 48), split(2, 40)
    model, _, unfamiliar = fit_refusal(
        build_network(RECIPE),
        train,
        held_out,
        RECIPE,
        images=240,
        epochs=16,
        unlike=banded(split(4, 24).images),
    )
    rule = Interpretation(heads_of(model), POINT, unfamiliar=Unfamiliar(**unfamiliar))

    def flagged(images: Grey) -> float:
        *_, logits, _, features = (np.asarray(o) for o in model(scale(images)))
        flags = rule.answer(logits, features).unfamiliar
        assert flags is not None
        return float(flags.mean())

    others = banded(split(5, 24).images)
    brighter = np.clip(others.astype(np.int64) + 30, 0, 255).astype(np.uint8)
    assert flagged(others) > 0.8
    assert flagged(brighter) > 0.8
    assert flagged(split(6, 24).images) < 0.2


def banded(images: Grey) -> Grey:
    images = images.copy()
    images[:, 90:140] //= 3
    return images
