"""How a network's numbers become an answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.inference.loaded_model import ServedModel, load_bundle
from service.problems import Problem
from service.runtime.byte_budget import ByteBudget
from service.screening.heatmap_image import Drawing
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import Screening, screen
from shared.bundle.manifest import Calibration, Manifest, OperatingPoint, Refusal, Unfamiliar
from shared.imaging import decode
from shared.network import NetworkInvalid, Outputs
from tests.service.tiny_bundle import NORMAL_LIKE, encode, tilted

BUDGET = ByteBudget(64 * 2**20)


@pytest.fixture
def model(tiny_models: Path) -> ServedModel:
    return load_bundle(next(path for path in tiny_models.iterdir() if path.is_dir()))


class Fixed:
    """A network that says the same of every image."""

    def __init__(self, logits: list[float], features: list[float] | None = None) -> None:
        numbers = None if features is None else np.array([features], np.float32)
        self.outputs = Outputs(np.array([logits], np.float32), None, numbers)

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        assert batch.shape == (1, 224, 224, 1)
        assert batch.dtype == np.float32
        return self.outputs


def say(
    model: ServedModel,
    logits: list[float],
    features: list[float] | None = None,
    **manifest: object,
) -> Screening:
    """What is answered when a network gives these numbers, with these changes to the manifest."""
    changed: Manifest = model.manifest.model_copy(update=manifest)
    fixed = replace(model, network=Fixed(logits, features), manifest=changed)
    return screen(fixed, NORMAL_LIKE, DecodingMemory(BUDGET))


def test_the_probability_is_calibrated(model: ServedModel) -> None:
    answer = say(model, [2.0, 0.0, 3.0], calibration=Calibration(temperature=2.0, bias=-1.0))
    assert answer.probability == 0.5
    assert say(model, [900.0, 0, 3]).probability == 1.0
    assert say(model, [-900.0, 0, 3]).probability == 0.0


def test_the_label_changes_at_the_threshold(model: ServedModel) -> None:
    half = OperatingPoint(threshold=0.5, rule="", low=0.45, high=0.55)
    assert say(model, [0.0, 0, 3], operating_point=half).label == "PNEUMONIA"
    assert say(model, [-0.001, 0, 3], operating_point=half).label == "NORMAL"


def test_the_uncertain_band_needs_review(model: ServedModel) -> None:
    band = OperatingPoint(threshold=0.5, rule="", low=0.4, high=0.6)
    needs = [say(model, [logit, 0, 3], operating_point=band).needs_review for logit in (-1, 0, 1)]
    assert needs == [False, True, False]


def test_causes_share_the_probability(model: ServedModel) -> None:
    answer = say(model, [1.0, 0.0, 3.0])
    assert answer.causes is not None
    assert answer.causes["VIRAL"] == pytest.approx(answer.probability / 2, abs=1e-6)
    assert sum(answer.causes.values()) == pytest.approx(answer.probability, abs=2e-6)
    assert say(model, [1.0], heads=("pneumonia",)).causes is None
    assert say(model, [1.0, 0.0, 3.0], cause_calibration=None).causes is None


def test_what_is_no_chest_xray_is_refused(model: ServedModel) -> None:
    strict = Refusal(minimum=1.0, rule="")
    assert say(model, [0.0, 0.0, 1.0], refusal=strict).label
    with pytest.raises(Problem) as refused:
        say(model, [0.0, 0.0, 0.99], refusal=strict)
    assert refused.value.kind.slug == "not-a-chest-xray"


def test_an_unfamiliar_image_is_warned_of(model: ServedModel) -> None:
    usual = Unfamiliar(maximum=2.0, rule="")
    familiar = say(model, [5.0, 0, 3], [2.0, 2.0], unfamiliar=usual)
    strange = say(model, [5.0, 0, 3], [2.0, 2.1], unfamiliar=usual)
    assert (familiar.warnings, familiar.needs_review) == ((), False)
    assert [code for code, _ in strange.warnings] == ["unfamiliar_image"]
    assert strange.needs_review
    assert (familiar.reliable, strange.reliable) == (True, False)


def test_what_resembles_xrays_that_must_not_be_judged_is_not_reliable(model: ServedModel) -> None:
    heads = ("pneumonia", "viral", "chest_xray", "familiar")
    rule = Unfamiliar(maximum=1.0, weight=0.5, rule="")
    known, other = (
        say(model, [5.0, 0, 3, logit], [2.0, 2.0], heads=heads, unfamiliar=rule)
        for logit in (2.0, 1.9)
    )
    assert (known.reliable, known.needs_review) == (True, False)
    assert (other.reliable, other.needs_review) == (False, True)


def test_a_model_that_knows_nobody_says_so(model: ServedModel) -> None:
    answer = say(model, [5.0, 0, 3], unfamiliar=None)
    assert (answer.reliable, answer.needs_review) == (True, False)
    assert [code for code, _ in answer.warnings] == ["unknown_familiarity"]


def test_what_a_bundle_lacks_is_said_with_each_answer(model: ServedModel) -> None:
    lacks = ("calibration", "refusal", "familiarity", "figures")
    answer = say(model, [2.0, 0.0, 3.0], unfamiliar=None, lacks=lacks)
    codes = [code for code, _ in answer.warnings]
    assert codes == ["uncalibrated_model", "no_refusal", "unmeasured_model", "unknown_familiarity"]
    assert say(model, [2.0, 0.0, 3.0], [0.0] * 4, lacks=("figures",)).warnings == (
        (
            "unmeasured_model",
            "How good the model is was never measured: nothing is known of its errors.",
        ),
    )


def test_numbers_that_are_not_finite_are_no_answer(model: ServedModel) -> None:
    with pytest.raises(NetworkInvalid):
        say(model, [float("nan"), 0, 3])


def test_no_memory_for_the_overlay_is_a_refusal_too(
    model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = encode(tilted(90, 120, (1800, 2400)), "JPEG")
    decodings: list[int] = []
    turn = decode._turn

    def turning(image: Any) -> Any:
        decodings.append(1)
        if len(decodings) == 2:
            raise MemoryError
        return turn(image)

    monkeypatch.setattr(decode, "_turn", turning)
    with pytest.raises(Problem) as refused:
        screen(model, large, DecodingMemory(BUDGET), Drawing.OVERLAY)
    assert refused.value.kind.slug == "image-too-large"
    assert BUDGET.taken == 0


def test_the_overlay_does_not_change_the_answer(model: ServedModel) -> None:
    large = encode(tilted(90, 120, (1800, 2400)), "JPEG")
    plain, drawn = (
        screen(model, large, DecodingMemory(BUDGET), drawing) for drawing in (None, Drawing.OVERLAY)
    )
    assert plain.probability == drawn.probability
    assert drawn.overlay is not None
    assert (drawn.overlay.width, drawn.overlay.height) == (1024, 768)
