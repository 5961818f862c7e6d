"""The same network with a hospital's calibration and threshold, and how sure what it changes is."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from shared.bundle.manifest import Calibration, OperatingPoint, Refusal
from shared.bundle.store import Bundle, Draft, current, open_bundle, publish
from shared.interpretation import Interpretation
from tests.trainer.conftest import trainer
from trainer.commands.recalibrate import AFTER
from trainer.config.options import RECALIBRATING, Options
from trainer.data.dataset import Split
from trainer.data.splits import folds
from trainer.decision.recalibration import RULE, recalibrate

GAIN = 20.0  # the logit of an image is GAIN * (its brightness in [0, 1] - 0.5)
SHIFT = 2.0  # by which this hospital's logits are too high
QUICK = ("--resamples", "60")


def brightness_network(path: Path) -> None:
    """A graph with known logits: of pneumonia by brightness, and of a chest X-ray 8 above it."""
    constants = {
        "half": np.array([0.5], np.float32),
        "gain": np.array([GAIN], np.float32),
        "above": np.array([8.0], np.float32),
        "axes": np.array([1, 2], np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "half"], ["centred"]),
            helper.make_node("Mul", ["centred", "gain"], ["pneumonia"]),
            helper.make_node("Add", ["pneumonia", "above"], ["chest_xray"]),
            helper.make_node("Concat", ["pneumonia", "chest_xray"], ["logits"], axis=1),
        ],
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 224, 224, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of that network, in a models folder of its own; read-only."""

    def write(folder: Path) -> Draft:
        brightness_network(folder / "model.onnx")
        (folder / "model.h5").write_bytes(b"the network as Keras keeps it")
        (folder / "history.csv").write_text("member,epoch\n1,1\n")
        return Draft(
            heads=("pneumonia", "chest_xray"),
            operating_point=OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.4, high=0.6),
            refusal=Refusal(minimum=0.0, rule="refuses few"),
            training={"recipe": {"epochs": 1}, "calibrated_on": "val"},
        )

    return open_bundle(publish(tmp_path_factory.mktemp("made") / "models", write))


def drawn(count: int, shift: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels of which P(pneumonia) = sigmoid(logit - shift) is true; two a patient."""
    rng = np.random.default_rng(seed)
    logits = np.clip(rng.normal(shift, 2.5, count), -7, 9)
    return logits, (rng.random(count) < 1 / (1 + np.exp(shift - logits))).astype(np.int64)


def write_xrays(folder: Path, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Path:
    """Noisy grey images of these logits; two in a row of one class are of one patient."""
    rng = np.random.default_rng(0)
    for index, (logit, label) in enumerate(zip(logits, labels, strict=True)):
        number = index // 2
        name = f"person{number}_virus_{index}" if label else f"IM-{number:04}-{index:04}"
        noise = rng.normal(0, 3, (64, 64))
        pixels = np.clip(255 * (logit / GAIN + 0.5) + noise - noise.mean(), 0, 255)
        path = folder / ("PNEUMONIA" if label else "NORMAL") / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(pixels).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 images whose logits are too high by SHIFT; read-only."""
    return write_xrays(tmp_path_factory.mktemp("hospital"), *drawn(300, SHIFT, 1))


def changes(bundle: Bundle) -> dict[str, dict[str, Any]]:
    found = bundle.manifest.training["recalibrated"]["changes"]
    return {change["figure"]: change for change in found}


def published(models: Path) -> Bundle:
    path = current(models)
    assert path is not None
    return open_bundle(path)


def test_the_same_network_with_the_calibration_of_the_hospital(
    bundle: Bundle, hospital: Path, tmp_path: Path
) -> None:
    models = Path(shutil.copytree(bundle.path.parent, tmp_path / "models"))
    archive = shutil.make_archive(str(tmp_path / "clinic"), "zip", hospital)
    done = trainer("recalibrate", "--bundle", models, "--data", archive, "--models", models, *QUICK)
    assert done.returncode == 0, done.stderr
    new = published(models)
    assert new.path.name != bundle.path.name
    assert (models / bundle.path.name).is_dir()  # to go back to
    for name in ("model.h5", "model.onnx", "history.csv"):
        assert new.read(name) == bundle.read(name)
    manifest, kept = new.manifest, bundle.manifest
    assert (manifest.refusal, manifest.unfamiliar) == (kept.refusal, kept.unfamiliar)
    assert manifest.calibration.temperature == pytest.approx(1, abs=0.35)
    assert manifest.calibration.bias == pytest.approx(-SHIFT, abs=0.7)
    assert manifest.operating_point.rule == "balanced"
    record = manifest.training["recalibrated"]
    assert (record["from"], record["images"], record["refused"]) == (kept.version, 300, 0)
    assert 150 <= record["patients"] <= 300
    assert manifest.evaluated_on == f"{AFTER}: 300 images of {record['patients']} patients"
    assert manifest.training["recipe"] == kept.training["recipe"]
    found = changes(new)
    assert set(found) == {*RULE, "recall", "specificity", "ece"}
    assert found["limit"]["before"] == [0, 0, 0]
    assert found["limit"]["after"][0] == pytest.approx(SHIFT, abs=1)
    for figure in ("bias", "limit", "specificity", "ece"):
        assert found[figure]["beyond_chance"], figure
    assert found["specificity"]["difference"][1] > 0
    assert found["ece"]["difference"][2] < 0
    assert found["ece"]["after"][0] == pytest.approx(manifest.metrics["ece"].value, abs=1e-4)
    report, card = (new.read(n).decode() for n in ("report.html", "MODEL_CARD.md"))
    for text in (report, card):
        assert kept.version in text
        assert "changed by more than chance" in text
        assert "person" not in text  # neither pictures nor names of files unless asked for
    assert "<img " not in report
    said = report.split("By more than chance, ")[1].split(".")[0]
    assert "specificity rose" in said
    assert "the calibration error fell" in said
    assert "changed by more than chance" in done.stdout


def test_what_was_right_already_may_not_have_changed(bundle: Bundle, tmp_path: Path) -> None:
    data = write_xrays(tmp_path / "data", *drawn(200, 0.0, 2))
    models = tmp_path / "models"
    done = trainer(
        *("recalibrate", "--bundle", bundle.path, "--data", data, "--models", models, *QUICK),
        *("--rule", "fixed=0.5", "--report-images"),
    )
    assert done.returncode == 0, done.stderr
    new = published(models)
    assert new.manifest.operating_point.threshold == 0.5
    assert not changes(new)["bias"]["beyond_chance"]
    assert "may be none: the interval of the difference includes 0" in done.stdout
    assert "the bundle before serves these patients as well" in done.stdout
    assert b"<img " in new.read("report.html")


def test_the_rule_of_a_bundle_that_chooses_its_threshold_is_kept(
    bundle: Bundle, hospital: Path, tmp_path: Path
) -> None:
    """A bundle that was to find a share of the pneumonias is to find it here, too."""

    def write(folder: Path) -> Draft:
        for name in ("model.h5", "model.onnx"):
            shutil.copyfile(bundle.file(name), folder / name)
        point = OperatingPoint(threshold=0.5, rule="sensitivity=0.95", low=0.4, high=0.6)
        return Draft(heads=("pneumonia", "chest_xray"), operating_point=point)

    models = tmp_path / "models"
    publish(models, write)
    done = trainer(
        "recalibrate", "--bundle", models, "--data", hospital, "--models", models, *QUICK
    )
    assert done.returncode == 0, done.stderr
    manifest = published(models).manifest
    assert manifest.operating_point.rule == "sensitivity=0.95"
    assert manifest.metrics["recall"].value == pytest.approx(0.95, abs=0.04)


def refused(models: Path, *arguments: str | Path) -> str:
    """The message of a command that leaves no bundle behind."""
    done = trainer("recalibrate", "--models", models, *QUICK, *arguments)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not list(models.glob("*"))
    return done.stderr


def test_fewer_than_fifty_of_a_class_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    logits, labels = np.linspace(-6, 6, 110), (np.arange(110) >= 60).astype(np.int64)
    data = write_xrays(tmp_path / "data", logits, labels)
    models, asked = tmp_path / "models", ("--bundle", bundle.path, "--data", tmp_path / "data")
    first, second, *others = sorted((data / "PNEUMONIA").iterdir())
    assert len(others) == 48
    shutil.copyfile(first, second)  # an exact copy is no 50th image
    said = refused(models, *asked)
    assert "Received 60 NORMAL and 49 PNEUMONIA" in said
    assert "needs at least 50 images of each class" in said
    assert "evaluate --report" in said


def test_images_that_get_no_answer_do_not_count(bundle: Bundle, tmp_path: Path) -> None:
    logits = np.concatenate([np.full(15, -9.0), np.linspace(-7, 1, 40), np.linspace(-1, 8, 55)])
    data = write_xrays(tmp_path / "data", logits, (np.arange(110) >= 55).astype(np.int64))
    said = refused(tmp_path / "models", "--bundle", bundle.path, "--data", data)
    assert "Received 40 NORMAL and 55 PNEUMONIA (15 more are refused" in said


def test_a_network_at_chance_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    data = write_xrays(tmp_path / "data", rng.normal(0, 2, 120), np.arange(120) % 2)
    said = refused(tmp_path / "models", "--bundle", bundle.path, "--data", data)
    assert "does not tell pneumonia from normal" in said
    assert "No calibration mends that" in said


def test_images_of_too_few_patients_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    data = write_xrays(tmp_path / "data", *drawn(200, SHIFT, 4))
    for index, path in enumerate(sorted((data / "NORMAL").iterdir())):
        path.rename(path.with_name(f"IM-0001-{index:04}.png"))
    said = refused(tmp_path / "models", "--bundle", bundle.path, "--data", data)
    assert "Only 1 patients in the class NORMAL" in said


def test_nothing_is_published_when_stopped(
    bundle: Bundle, hospital: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    models = tmp_path / "models"
    monkeypatch.setattr("shared.bundle.store.os.fsync", stop)
    done = trainer(
        "recalibrate", "--bundle", bundle.path, "--data", hospital, "--models", models, *QUICK
    )
    assert done.returncode == 130
    assert "Stopped" in done.stderr
    assert not list(models.iterdir())


def test_a_bundle_that_was_damaged_is_refused(
    bundle: Bundle, hospital: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    (copy / "model.h5").write_bytes(b"another")
    said = refused(tmp_path / "models", "--bundle", copy, "--data", hospital)
    assert "does not match" in said


def test_an_image_has_no_say_in_answers_to_its_own_part() -> None:
    """Figures are out of fold: the rule of a part is fitted on the other parts alone."""
    z, labels = drawn(200, SHIFT, 5)
    images = Split(
        np.arange(200, dtype=np.uint8)[:, None, None],
        labels,
        np.full(200, -1),
        [f"{labels[i]}/{i // 2}" for i in range(200)],
        [str(i) for i in range(200)],
    )
    kept = Interpretation(
        ("pneumonia",),
        OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5),
        Calibration(),
    )
    options = Options(**{**RECALIBRATING, "resamples": 20})
    logits = z[:, None].astype(np.float32)
    plain = recalibrate(logits, None, images, kept, options)
    held = folds(images, options.folds, options.seed)[0][1]
    moved = logits.copy()
    moved[held[0]] += np.float32(6 if labels[held[0]] == 0 else -6)
    other = recalibrate(moved, None, images, kept, options)
    same = plain.answers.probability == other.answers.probability
    assert same[held[1:]].all()
    assert not np.delete(same, held).any()
    assert plain.interpretation.calibration != other.interpretation.calibration
    assert plain.answers.unfamiliar is None
