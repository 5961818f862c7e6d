"""`fit` from the outside: what it publishes, and that a run stopped at any moment can go on."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from shared.bundle.store import Bundle, current, open_bundle
from shared.interpretation import calibrated
from tests.trainer.conftest import EPOCHS, ROOT, TINY, TinyRun, asked, command, trainer
from trainer.data.dataset import find_dataset
from trainer.data.loading import load_split
from trainer.model.inference import predict


class Page(HTMLParser):
    """What a report links to and shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.drawings = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "section":
            self.sections.append(found.get("id") or "")
        if tag == "img":
            self.images.append(found.get("src") or "")
        if tag == "svg":
            self.drawings += 1
        self.links += [
            v or "" for k, v in attrs if k in ("src", "href", "xlink:href") and tag != "img"
        ]


def published(models: Path) -> Bundle:
    path = current(models)
    assert path is not None
    return open_bundle(path)


def test_run_says_what_it_found_and_did(tiny_run: TinyRun) -> None:
    for part in (
        "normal + ",
        f"epoch {EPOCHS}/{EPOCHS}",
        "ONNX equals .h5",
        "accuracy",
        "Done",
    ):
        assert part in tiny_run.output
    assert "Traceback" not in tiny_run.output


def test_bundle_is_whole(tiny_run: TinyRun) -> None:
    manifest = tiny_run.bundle.manifest
    assert set(manifest.files) == {
        "model.h5",
        "model.onnx",
        "report.html",
        "MODEL_CARD.md",
        "history.csv",
    }
    assert manifest.heads == ("pneumonia", "viral", "chest_xray", "familiar")
    assert manifest.heatmap
    assert manifest.refusal is not None
    assert manifest.unfamiliar is not None
    assert manifest.unfamiliar.weight > 0
    learned = len(list((tiny_run.data / "train" / "PNEUMONIA").iterdir()))
    assert manifest.training["unlike"]["images"] == learned
    assert manifest.cause_calibration is not None
    assert manifest.operating_point.rule == "fixed=0.5"
    assert manifest.evaluated_on == "test: 16 images of 10 patients"
    assert manifest.counts == {"NORMAL": 8, "PNEUMONIA": 8}
    for name in ("accuracy", "precision", "recall", "specificity", "f1", "roc_auc", "ece"):
        metric = manifest.metrics[name]
        assert 0 <= metric.low <= metric.value <= metric.high <= 1
    assert manifest.data.counts["train"]["NORMAL"] == len(
        list((tiny_run.data / "train" / "NORMAL").iterdir())
    )
    assert manifest.data.held_out is None  # all were learned from
    assert manifest.training["recipe"]["epochs"] == EPOCHS
    assert manifest.training["options"]["seed"] == 0
    assert manifest.training["options"]["folds"] == 2
    assert manifest.training["calibrated_on"] == "cross-validation"
    assert manifest.training["machines"] == {}
    assert {group["kind"] for group in manifest.training["acquisition"]} <= {
        *("marks", "corners", "style", "series")
    }
    [revision] = manifest.training["revisions"]
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?|unknown)", revision)
    assert manifest.training["versions"]["keras"]
    text = (tiny_run.bundle.path / "model.json").read_text()
    assert str(tiny_run.data) not in text
    assert not re.search(r"person\d", text)


def test_manifest_figures_are_those_of_the_served_graph(tiny_run: TinyRun) -> None:
    manifest = tiny_run.bundle.manifest
    test, _ = load_split(find_dataset(tiny_run.data), "test")
    logits = predict(tiny_run.bundle.file("model.onnx"), test.images).logits
    p = calibrated(logits[:, 0], manifest.calibration)
    called = p >= manifest.operating_point.threshold
    assert manifest.metrics["accuracy"].value == pytest.approx((called == test.labels).mean())
    assert manifest.confusion_matrix == tuple(
        tuple(int(((test.labels == t) & (called == a)).sum()) for a in (0, 1)) for t in (0, 1)
    )


def test_h5_loads_plainly_and_answers_first_with_the_probability(tiny_run: TinyRun) -> None:
    from trainer.model.backend import load_keras

    load_keras()
    import keras

    from shared.preprocessing import scale

    test, _ = load_split(find_dataset(tiny_run.data), "test")
    model = keras.models.load_model(tiny_run.bundle.file("model.h5"), compile=False)
    first = np.asarray(model(scale(test.images), training=False)[0])
    logits = predict(tiny_run.bundle.file("model.onnx"), test.images).logits[:, 0]
    np.testing.assert_allclose(first[:, 0], 1 / (1 + np.exp(-logits)), atol=1e-4)


def test_report_is_self_contained_and_complete(tiny_run: TinyRun) -> None:
    text = tiny_run.bundle.file("report.html").read_text()
    page = Page(text)
    assert page.sections == [
        "figures",
        "decision",
        "curves",
        "confusion",
        "reliability",
        "training",
        "samples",
        "mistakes",
        "counterfactuals",
        *(["heatmaps"] if "heatmaps" in page.sections else []),
        "data",
        "recipe",
    ]
    assert page.drawings >= 12
    assert text.count('class="chosen"') == 2  # the threshold in the sweeps, out of fold and of test
    assert len(page.images) >= 2 * 2 * 2  # two samples of each class, each with its heatmap
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not re.search(r"url\((?!#)", text)
    assert "Leakage" in text


def test_model_card_header_holds_the_figures(tiny_run: TinyRun) -> None:
    text = tiny_run.bundle.file("MODEL_CARD.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    [test] = [r for r in header["model-index"][0]["results"] if r["dataset"]["name"] == "test"]
    figures = {m["type"]: m["value"] for m in test["metrics"]}
    accuracy = tiny_run.bundle.manifest.metrics["accuracy"]
    assert figures["accuracy"] == pytest.approx(accuracy.value, abs=1e-4)
    for part in ("Intended use", "CC BY 4.0", "Adults", "Lateral", "tubes", "never a diagnosis"):
        assert part in text


def test_history_has_every_epoch(tiny_run: TinyRun) -> None:
    with tiny_run.bundle.file("history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["member"], float(row["epoch"])) for row in rows] == [
        ("1", epoch) for epoch in range(1, EPOCHS + 1)
    ]
    assert all(float(row["loss"]) > 0 for row in rows)


def kill_after_an_epoch(process: subprocess.Popen[str]) -> None:
    """Kill -9 once the run says that it has saved an epoch."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith("epoch "):
            process.kill()
            process.communicate()
            return
        said.append(line)
    raise AssertionError(f"the run ended before it could be stopped: {said}")


class ImpatientReader(io.StringIO):
    """Presses Ctrl-C as soon as the run says that it has saved an epoch."""

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.startswith("epoch "):
            signal.raise_signal(signal.SIGINT)
        return written


@pytest.mark.slow
def test_stopped_twice_and_resumed_equals_unbroken(tiny_run: TinyRun, tmp_path: Path) -> None:
    """Kill -9 after the first epoch, Ctrl-C after the next, and the same figures at the end."""
    models = tmp_path / "models"
    runs = models / ".trainer" / "runs"
    options = ("fit", "--models", models)

    with subprocess.Popen(
        command((*options, *asked(tiny_run.data))),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        kill_after_an_epoch(first)
    [run] = runs.iterdir()
    assert current(models) is None

    # Where the tests run in the background, Ctrl-C is ignored; here it must not be.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        second = trainer(*options, "--resume", said=ImpatientReader())
    finally:
        signal.signal(signal.SIGINT, kept)
    assert second.returncode == 130, second.stderr
    assert f"--models {models} --resume {run.name}" in second.stderr
    assert "Traceback" not in second.stderr
    assert second.stderr.count("epoch ") == 1
    assert current(models) is None

    done = trainer(*options, "--resume")
    assert done.returncode == 0, done.stderr
    resumed, unbroken = published(models), tiny_run.bundle
    with resumed.file("history.csv").open() as file:
        spent = sum(float(row["seconds"]) for row in csv.DictReader(file))
    assert resumed.manifest.training["seconds"] >= round(spent)
    histories = []
    for bundle in (resumed, unbroken):
        with bundle.file("history.csv").open() as file:
            histories.append([{**row, "seconds": "0"} for row in csv.DictReader(file)])
    for one, other in zip(*histories, strict=True):
        for name, value in one.items():
            assert float(value) == pytest.approx(float(other[name]), rel=1e-3, abs=1e-3), name
    for name, metric in unbroken.manifest.metrics.items():
        assert resumed.manifest.metrics[name].value == pytest.approx(metric.value, abs=5e-3), name
    assert resumed.manifest.operating_point.threshold == pytest.approx(
        unbroken.manifest.operating_point.threshold, abs=5e-3
    )


def test_resume_after_training_goes_straight_to_publishing(
    tiny_run: TinyRun, tmp_path: Path
) -> None:
    [run] = (tiny_run.models / ".trainer" / "runs").iterdir()
    copy = tmp_path / "models" / ".trainer" / "runs" / run.name
    shutil.copytree(run, copy)
    network = json.loads((copy / "network.json").read_text())
    network["out_of_fold"] *= 2  # as if another member had said the same
    (copy / "network.json").write_text(json.dumps(network))
    state = json.loads((copy / "run.json").read_text())
    state["published"] = None
    state["external"] = {"gone": str(tmp_path / "gone")}
    (copy / "run.json").write_text(json.dumps(state))
    changed = trainer("fit", "--models", tmp_path / "models", "--resume", "--epochs", "99")
    assert changed.returncode == 1
    expected = f"--epochs 99 differs from the recipe of the run to be resumed, {EPOCHS}"
    assert expected in changed.stderr
    gone = trainer("fit", "--models", tmp_path / "models", "--resume")
    assert gone.returncode == 1
    assert "--external gone: " in gone.stderr
    name = "2000-01-01T000000Z"  # an older run that has not published either
    shutil.copytree(copy, copy.with_name(name))
    done = trainer("fit", "--models", tmp_path / "models", "--resume", "--no-external")
    assert done.returncode == 0, done.stderr
    assert f"{name}: go on with one by --resume NAME" in done.stdout
    assert "trained already" in done.stdout
    assert "epoch" not in done.stderr
    again = published(tmp_path / "models").manifest
    assert again.metrics == tiny_run.bundle.manifest.metrics

    again_named = ("--resume", run.name, "--no-external", "--rule", "fixed=0.9")
    decided = trainer(
        *("fit", "--models", tmp_path / "models", *again_named, "--caveat", "Looked at *twice*.")
    )
    assert decided.returncode == 0, decided.stderr
    bundle = published(tmp_path / "models")
    assert bundle.manifest.version != again.version
    assert bundle.manifest.operating_point.threshold == 0.9
    assert bundle.manifest.training["options"]["rule"] == "fixed=0.9"
    assert "**Looked at *twice*.**" in bundle.file("MODEL_CARD.md").read_text()
    report = bundle.file("report.html").read_text()
    assert "<strong>Looked at *twice*.</strong>" in report
    assert "What the ensemble buys" in report
    assert "member 2" in report

    missing = trainer("fit", "--models", tmp_path / "models", "--resume", "nothing")
    assert missing.returncode == 1
    assert f"no run nothing in {copy.parent}; there are {run.name}, {name}." in missing.stderr


def test_network_of_a_bundle_answers_beside_the_new_one(tiny_run: TinyRun, tmp_path: Path) -> None:
    """The bundle's and the new one are the same network here, which is trained already."""
    [run] = (tiny_run.models / ".trainer" / "runs").iterdir()
    models = tmp_path / "models"
    copy = models / ".trainer" / "runs" / run.name
    shutil.copytree(run, copy)
    (copy / "network.json").unlink()
    before = tiny_run.bundle
    state = json.loads((copy / "run.json").read_text())
    state |= {"published": None, "beside": str(before.path), "unlike": None}
    (copy / "run.json").write_text(json.dumps(state))
    done = trainer("fit", "--models", models, "--resume")
    assert done.returncode == 0, done.stderr
    assert "epoch" not in done.stderr
    both = published(models)
    assert both.manifest.heads == before.manifest.heads
    assert both.manifest.refusal == before.manifest.refusal
    assert both.manifest.unfamiliar == before.manifest.unfamiliar
    assert both.manifest.training["unlike"] == before.manifest.training["unlike"]
    assert both.manifest.training["beside"] == {"version": before.manifest.version, "networks": 1}
    assert before.manifest.version in both.file("MODEL_CARD.md").read_text()
    assert before.manifest.version in both.file("report.html").read_text()
    train, _ = load_split(find_dataset(tiny_run.data), "train")
    one, two = (predict(b.file("model.onnx"), train.images, maps=True) for b in (before, both))
    assert one.activation_map is not None
    assert two.activation_map is not None
    np.testing.assert_allclose(two.logits, one.logits, atol=1e-3)
    np.testing.assert_allclose(two.activation_map, one.activation_map, atol=1e-2)
    record = json.loads((copy / "network.json").read_text())
    earlier, new = np.array(record["out_of_fold"])
    assert len(train) == len(earlier)  # no copies among the phantoms
    np.testing.assert_allclose(earlier, one.logits[:, :2], atol=1e-3)
    assert not np.allclose(new, one.logits[:, :2], atol=1e-3)  # of the networks of the folds
    alone = json.loads((run / "network.json").read_text())
    assert record["multiply_adds"] > 1.9 * alone["multiply_adds"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"learned": "0" * 64}, "left out other images"),
        ({"fingerprint": "0" * 64}, "have changed since the run"),
        ({"recipe": {"epochs": 3}}, "Another version of this program, with other options"),
    ],
)
def test_what_would_be_judged_by_other_images_is_not_resumed(
    change: dict[str, Any], expected: str, tiny_run: TinyRun, tmp_path: Path
) -> None:
    [run] = (tiny_run.models / ".trainer" / "runs").iterdir()
    copy = tmp_path / "models" / ".trainer" / "runs" / run.name
    copy.mkdir(parents=True)
    state = json.loads((run / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**state, "published": None, **change}))
    done = trainer("fit", "--models", tmp_path / "models", "--resume")
    assert done.returncode == 1
    assert expected in done.stderr
    assert "without --resume" in done.stderr
    assert current(tmp_path / "models") is None


def test_nothing_to_resume_is_said(tiny_run: TinyRun) -> None:
    done = trainer("fit", "--models", tiny_run.models, "--resume")
    assert done.returncode == 1
    assert "no unfinished run" in done.stderr


@pytest.mark.slow
def test_ensemble_without_test_and_without_pictures(phantoms: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    done = trainer(
        *("fit", "--data", phantoms, "--models", models, *TINY, "--epochs", "1"),
        *("--sizes", "96-64", "--machines", "keep"),
        *("--no-test", "--no-report-images", "--rule", "sensitivity=0.9"),
        *("--refusal-images", "0", "--external", f"elsewhere={phantoms / 'test'}"),
    )
    assert done.returncode == 0, done.stderr
    bundle = published(models)
    assert bundle.manifest.evaluated_on is not None
    assert bundle.manifest.evaluated_on.startswith("cross-validation")
    assert bundle.manifest.refusal is None
    assert bundle.manifest.heads == ("pneumonia", "viral")
    assert bundle.manifest.operating_point.rule == "sensitivity=0.9"
    text = bundle.file("report.html").read_text()
    assert "elsewhere" in text
    assert not Page(text).images
    assert not re.search(r"person\d", text)
    with bundle.file("history.csv").open() as file:
        assert [row["member"] for row in csv.DictReader(file)] == ["1", "2"]
