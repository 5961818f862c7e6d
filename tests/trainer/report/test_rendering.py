"""The report and the model card for findings of every shape, made without a network."""

import dataclasses

import numpy as np
import pytest
import yaml

from shared.bundle.manifest import Calibration, Data, OperatingPoint, Refusal, Unfamiliar
from shared.interpretation import Interpretation
from shared.network import Outputs
from tests.phantoms import chest_phantom
from trainer.bootstrap import Interval, mean_interval, wilson
from trainer.config.options import Options
from trainer.data.audit import audit, data_record
from trainer.data.dataset import Broken, Split
from trainer.evaluation.results import (
    Findings,
    HeatmapCheck,
    check_heatmaps,
    machine_figures,
    measure,
    member_figures,
)
from trainer.report.rendering import render_model_card, render_report
from trainer.runs.publish import draft_of, history_csv

QUICK = Options(resamples=20)


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    causes = np.array([-1, -1, -1, 0, 0, 1, 1, -1])
    names = [f"test/{('NORMAL', 'PNEUMONIA')[y]}/person{i}_<b>.jpeg" for i, y in enumerate(labels)]
    return Split(
        np.stack([chest_phantom(rng, bool(y)) for y in labels]),
        labels,
        causes,
        [f"test/{i}" for i in range(8)],
        names,
        np.tile(np.array([[800, 1000]], np.int32), (8, 1)),
    )


@pytest.fixture(scope="module")
def findings(split: Split) -> Findings:
    rng = np.random.default_rng(1)
    pneumonia = np.array([-3.0, -2.0, 1.0, 3.0, 2.0, 1.5, -1.0, 2.5])
    logits = np.stack([pneumonia, rng.normal(size=8), np.full(8, 4.0)], axis=1).astype(np.float32)
    maps = rng.normal(size=(8, 7, 7, 1)).astype(np.float32)
    outputs = Outputs(logits, maps, rng.normal(size=(8, 5)).astype(np.float32))
    interpretation = Interpretation(
        ("pneumonia", "viral", "chest_xray"),
        OperatingPoint(threshold=0.4, rule="balanced", low=0.3, high=0.6),
        Calibration(temperature=1.2, bias=0.1),
        Calibration(),
        Refusal(minimum=0.0, rule="refuses few"),
        Unfamiliar(maximum=3.0, rule="flags few"),
    )
    results = [
        measure(name, split, outputs, interpretation, QUICK)
        for name in ("test", "cross-validation")
    ]
    history = [
        {
            "epoch": e,
            "loss": 1 / e,
            "accuracy": 0.5,
        }
        for e in (1.0, 2.0)
    ]
    found = check_heatmaps(results[0], None, QUICK)
    assert found is not None
    return Findings(
        interpretation=interpretation,
        results=results,
        training={
            "recipe": {"epochs": 2},
            "seconds": 3,
            "calibrated_on": "cross-validation",
            "options": {"folds": 3, "machines": "leave-out"},
            "machines": {"images": 272, "found": 0.9, "mean_logit": 2.5, "others": 3.0},
        },
        cost={"parameters": 1000, "multiply_adds": 2_000_000, "onnx_bytes": 3_000_000},
        audit=audit({"train": split, "test": split}, 3, [Broken("train/a.txt", "a <text>")]),
        histories=[history, history],
        members=member_figures(np.stack([pneumonia, -pneumonia]), split, QUICK),
        heatmaps=HeatmapCheck(found.central, Interval(0.05, 0.01, 0.12), [3, 4], maps[:2, ..., 0]),
        not_chest={"photos": wilson(2, 3)},
        samples=2,
    )


@pytest.fixture(scope="module")
def report(findings: Findings) -> str:
    """The report of these findings."""
    return render_report(findings)


def test_everything_is_shown(findings: Findings, report: str) -> None:
    for part in (
        "What the ensemble buys",
        "Pictures that are no chest X-rays",
        "photos",
        "Leakage",
        "not comparable: numbers start again",
        "rank correlation with the learnt ones is <b>0.050 (0.010–0.120)</b>",
        "3 exact copies were left out",
        "1,000 parameters. 2 million multiply-adds an image. model.onnx 3.0 MB.",
        "No image chose an epoch",
    ):
        assert part in report, part
    wrong = findings.results[0].judged.answers.pneumonia != (findings.results[0].split.labels == 1)
    assert wrong.sum() == 2  # one missed, one false alarm: each with two pictures below
    # Samples 4, mistakes 2, shuffled 2: each is a pair of pictures.
    assert report.count("<img ") == 2 * (4 + 2 + 2)


def test_names_of_files_are_escaped(report: str) -> None:
    assert "_<b>.jpeg" not in report
    assert "_&lt;b&gt;.jpeg" in report
    assert "a &lt;text&gt;" in report


def test_copies_between_splits_are_counted(findings: Findings) -> None:
    assert findings.audit is not None
    assert findings.audit.shared_copies == {("train", "test"): 8}
    assert findings.audit.splits["test"].aspect["NORMAL"] == 1.25
    assert findings.audit.splits["test"].height == (800, 800, 800)


def test_no_pictures_and_no_names_where_none_are_wanted(findings: Findings) -> None:
    text = render_report(dataclasses.replace(findings, images=False))
    assert "<img " not in text
    assert "person" not in text
    assert "train/a.txt" not in text


def test_the_least_that_can_be_found(findings: Findings, split: Split) -> None:
    interpretation = Interpretation(
        ("pneumonia",), OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5)
    )
    logits = findings.results[0].outputs.logits[:, :1]
    result = measure("test", split, Outputs(logits), interpretation, QUICK)
    least = Findings(interpretation=interpretation, results=[result])
    assert "heatmaps" not in render_report(least)
    card = render_model_card(least)
    assert "nothing stops them" in card
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "keras"
    draft = draft_of(least, heatmap=False)
    assert draft.evaluated_on == "test: 8 images of 8 patients"


def test_card_holds_the_figures_and_shows_nobody(findings: Findings) -> None:
    card = render_model_card(findings)
    header = yaml.safe_load(card.split("---")[1])
    [test, crossed] = header["model-index"][0]["results"]
    assert (test["dataset"]["name"], crossed["dataset"]["name"]) == ("test", "cross-validation")
    assert {m["type"]: m["value"] for m in test["metrics"]}["accuracy"] == 0.75
    assert "| accuracy | 0.750 (" in card
    assert "in 3 parts by patient" in card
    assert "find 90.0 % of them" in card
    assert "photos 0.667 (0.208–0.939)." in card
    assert "person" not in card


def test_what_was_chosen_on_images_is_said_with_their_name(findings: Findings, report: str) -> None:
    card = render_model_card(findings)
    chosen = (
        ("cross-validation", ("the temperature", "the bias", "the threshold")),
        (
            "a fifth of the training patients",
            ("the limit of what is refused", "the limit of what is unfamiliar"),
        ),
    )
    for name, parts in chosen:
        for part in parts:
            assert part in report.split(f"Chosen on {name}: ")[1][:200]
            assert part in card.split(f"Chosen on {name} alone: ")[1][:200]
    point = OperatingPoint(threshold=0.4, rule="fixed=0.4", low=0.3, high=0.6)
    rule = dataclasses.replace(findings.interpretation, operating_point=point, refusal=None)
    training = {
        "options": {"calibration": "temperature"},
        "calibrated_on": "val",
        "best_epochs": [3],  # of a bundle of an earlier version
    }
    fixed = dataclasses.replace(findings, interpretation=rule, training=training)
    assert fixed.chosen_on == {
        "validation": ["the epoch", "the limit of what is unfamiliar"],
        "val": ["the temperature", "the uncertain band"],
    }


def test_names_of_the_files_tell_whether_the_data_are_those_of_kaggle(split: Split) -> None:
    other = [f"train/NORMAL/0000{i}305_001.png" for i in range(len(split))]
    for paths, expected in ((split.paths, True), (other, False)):
        named = dataclasses.replace(split, paths=paths)
        learned = np.arange(len(named)) != 0
        found = data_record({"train": named}, learned, "0" * 64)
        assert found.kaggle == expected
        assert found.counts == {
            "train": {"NORMAL": 2, "PNEUMONIA": 5},
            "left out": {"NORMAL": 1, "PNEUMONIA": 0},
        }


def test_card_claims_of_the_data_what_the_manifest_knows(findings: Findings) -> None:
    def card(data: Data, training: dict[str, object]) -> str:
        return render_model_card(dataclasses.replace(findings, data=data, training=training))

    kaggle = card(Data(kaggle=True), {"recipe": {}})
    for claim in ("children", "Guangzhou", "paultimothymooney", "from scratch", "Adults"):
        assert claim in kaggle
    nih = card(Data(), {})
    for claim in ("hildren", "Guangzhou", "paultimothymooney", "from scratch"):
        assert claim not in nih
    assert "Other ages and hospitals" in nih


def test_what_is_said_of_an_unknown_machine_is_measured_on_its_pneumonias() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])
    machines = np.array([False, True, False, False, True, True])
    logits = np.array([-2.0, -9.0, 3.0, 1.0, -9.0, -9.0])
    unseen = np.array([-5.0, 2.0, -1.0])  # a normal image and two pneumonias
    assert machine_figures(labels, machines, logits, unseen) == {
        "images": 2,
        "found": 0.5,
        "mean_logit": 0.5,
        "others": 2.0,
    }
    assert machine_figures(labels, np.zeros(6, bool), logits, unseen[:0]) == {}


def test_shares_of_images_have_intervals_of_patients() -> None:
    flags = np.arange(100) % 4 == 0
    alone = mean_interval(flags, [str(i) for i in range(100)], 500)
    few = mean_interval(flags, [str(i // 20) for i in range(100)], 500)
    mixed = mean_interval(np.arange(100) < 25, [str(i // 25) for i in range(100)], 500)
    assert few == Interval(0.25, 0.25, 0.25)  # a quarter of every patient's images
    assert (alone.low, alone.high) == pytest.approx((0.17, 0.34), abs=0.03)
    assert (mixed.low, mixed.high) == pytest.approx((0, 0.75), abs=0.26)
    none = mean_interval(np.zeros(100, bool), [str(i // 20) for i in range(100)], 500)
    assert none == wilson(0, 5)


def test_wilson_interval_of_a_share() -> None:
    found = wilson(9, 10)
    assert found.value == 0.9
    assert (found.low, found.high) == pytest.approx((0.596, 0.982), abs=1e-3)
    assert wilson(0, 20).low == 0
    assert wilson(0, 0) == Interval(0.0, 0.0, 1.0)


def test_history_of_members() -> None:
    text = history_csv([[{"epoch": 1.0, "loss": 0.5}], [{"epoch": 1.0, "loss": 0.4}]])
    assert text == "member,epoch,loss\n1,1.0,0.5\n2,1.0,0.4\n"
