"""What users get wrong: one clear message with the path and the remedy, and never half a bundle."""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from shared.bundle.store import Bundle, current, open_bundle
from tests.service.tiny_bundle import publish_tiny
from tests.trainer.conftest import ROOT, TINY, TinyRun, trainer
from trainer.cli import build_parser
from trainer.config.options import Options
from trainer.config.recipe import Recipe
from trainer.data.preparation import prepare
from trainer.model import backend
from trainer.model.backend import missing_packages

QUICK = (*TINY, "--epochs", "1", "--refusal-images", "0", "--no-test")


def refused(done: subprocess.CompletedProcess[str], *parts: str | Path, code: int = 1) -> None:
    """Check that the command failed with one message that holds these parts."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("error: ")
    for part in parts:
        assert str(part) in line, line


def limited(*arguments: str | Path, size: int) -> subprocess.CompletedProcess[str]:
    """Run the trainer where no file may grow above this size in bytes, as on a full disk."""
    kept, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        return trainer(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kept, most))


@pytest.fixture
def data(phantoms: Path, tmp_path: Path) -> Path:
    """Phantoms that a test may damage."""
    return Path(shutil.copytree(phantoms, tmp_path / "data"))


Damage = Callable[[Path], None]


def remove_class(data: Path) -> None:
    shutil.rmtree(data / "train" / "NORMAL")


def empty_class(data: Path) -> None:
    remove_class(data)
    (data / "train" / "NORMAL").mkdir()


def remove_test(data: Path) -> None:
    shutil.rmtree(data / "test")


def empty_test_class(data: Path) -> None:
    for path in (data / "test" / "PNEUMONIA").iterdir():
        path.unlink()


def break_most(data: Path) -> None:
    for path in sorted((data / "train" / "PNEUMONIA").iterdir())[5:]:
        path.write_bytes(b"\xff\xd8\xff\xe0 cut")


def keep_one_patient(data: Path) -> None:
    for path in (data / "train" / "NORMAL").iterdir():
        if "-0001." not in path.name:
            path.unlink()
    for path in sorted((data / "train" / "NORMAL").iterdir())[2:]:
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (remove_class, ("train/NORMAL is missing or empty", "put X-rays")),
        (empty_class, ("train/NORMAL is missing or empty", "put X-rays")),
        (remove_test, ("test is missing or empty", "--no-test")),
        (empty_test_class, ("test/PNEUMONIA is missing or empty", "--no-test")),
        (break_most, ("train/PNEUMONIA", "19 of 24 files", "again")),
        (keep_one_patient, ("Only 2 patients in the class NORMAL", "--folds")),
    ],
)
def test_unusable_data(damage: Damage, parts: tuple[str, ...], data: Path, tmp_path: Path) -> None:
    damage(data)
    models = tmp_path / "models"
    done = trainer("fit", "--data", data, "--models", models, *TINY, "--folds", "3")
    refused(done, data, *parts)
    assert current(models) is None
    assert not [p for p in models.iterdir() if p.name != ".trainer"]


def test_data_that_is_not_there(tmp_path: Path) -> None:
    refused(
        trainer("fit", "--data", tmp_path / "none", "--models", tmp_path),
        tmp_path / "none",
        "does not exist",
        "download",
    )
    refused(trainer("fit", "--models", tmp_path), "--data is missing", "--resume")


@pytest.mark.parametrize(
    ("option", "name", "reason"),
    [
        ("--external", "none", "does not exist"),
        ("--external", "empty", "no X-rays in the expected layout"),
        ("--not-chest", "none", "is not a folder"),
        ("--not-chest", "empty", "holds no file"),
    ],
)
def test_what_is_measured_at_the_end_is_looked_for_at_the_beginning(
    option: str, name: str, reason: str, phantoms: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    models = tmp_path / "models"
    refused(
        trainer("fit", "--data", phantoms, "--models", models, option, f"more={tmp_path / name}"),
        *(f"{option} more: {tmp_path / name}", reason, f"--no{option[1:]}"),
    )
    assert not (models / ".trainer" / "runs").exists()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("none", ("is not a folder",)),
        ("empty", ("holds no file",)),
        ("few", ("3 readable pictures", "at least 20", "leave --unlike out")),
    ],
)
def test_whom_the_network_must_not_judge_is_looked_at_before_it_trains(
    name: str, parts: tuple[str, ...], phantoms: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "few").mkdir()
    for path in sorted((phantoms / "train" / "NORMAL").iterdir())[:3]:
        shutil.copy(path, tmp_path / "few")
    models = tmp_path / "models"
    refused(
        trainer("fit", "--data", phantoms, "--models", models, "--unlike", tmp_path / name),
        *(f"--unlike: {tmp_path / name}", *parts),
    )
    assert not (models / ".trainer" / "runs").exists()


def test_whom_the_network_must_not_judge_needs_the_head_that_learns_it(
    phantoms: Path, tmp_path: Path
) -> None:
    options = ("--data", phantoms, "--models", tmp_path, "--unlike", phantoms)
    refused(trainer("fit", *options, "--refusal-images", "0"), "--refusal-images 0", "drop one")


def test_bundle_to_answer_beside_is_opened_before_anything_is_trained(
    tiny_run: TinyRun, phantoms: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    options = ("fit", "--data", phantoms, "--models", models, "--beside")
    refused(trainer(*options, tmp_path), tmp_path, "neither a bundle", "`fit`")
    refused(
        trainer(*options, tiny_run.bundle.path, "--unlike", phantoms / "train" / "PNEUMONIA"),
        *("--unlike", "--beside", "drop one"),
    )
    elsewhere = publish_tiny(tmp_path / "elsewhere")
    refused(trainer(*options, elsewhere), elsewhere, "no model.h5", "`fit`")
    assert not (models / ".trainer" / "runs").exists()


@pytest.mark.parametrize("option", ["--models", "--work"])
def test_folder_that_cannot_be_written(option: str, phantoms: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "folder"
    refused(
        trainer("fit", "--data", phantoms, "--models", tmp_path / "models", option, folder),
        folder,
        "cannot be written",
        option,
    )


def test_broken_files_are_left_out_and_listed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = sorted((data / "train" / "PNEUMONIA").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:900])
    (data / "train" / "NORMAL" / "0notes.txt").write_text("read me")
    found = prepare(data, tmp_path / "work", Options(), test=True)
    said = capsys.readouterr().out
    assert f"train/PNEUMONIA/{victim.name}: " in said
    assert "train/NORMAL/0notes.txt: " in said
    assert "2 unreadable files skipped" in said
    assert len(found.splits["train"]) == 24 + 23


def test_a_full_disk_leaves_a_run_that_can_go_on(tiny_run: TinyRun, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk; it stops the report."""
    models = tmp_path / "models"
    shutil.copytree(tiny_run.models / ".trainer", models / ".trainer")
    [run] = (models / ".trainer" / "runs").iterdir()
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "published": None}))
    asked = ("fit", "--models", models, "--resume")
    done = limited(*asked, size=(run / "report.html").stat().st_size // 2)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "space" in done.stderr
    assert "trained already" in done.stdout
    assert "accuracy" in done.stdout  # as far as that it came
    assert current(models) is None
    assert [p.name for p in models.iterdir()] == [".trainer"]
    again = trainer(*asked)
    assert again.returncode == 0, again.stderr
    assert current(models) is not None


def test_full_disk_while_decoding(phantoms: Path, tmp_path: Path) -> None:
    done = limited("fit", "--data", phantoms, "--models", tmp_path / "models", *QUICK, size=100_000)
    refused(done, tmp_path / "models" / ".trainer" / "cache", "MB needed", "Free some space")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--rule", "best"), ("rule: received 'best'", "sensitivity=0.97")),
        (("--rule", "sensitivity=7"), ("rule: received 'sensitivity=7'", "below 1")),
        (("--machines", "drop"), ("machines: received 'drop'", "leave-out")),
        (("--folds", "1"), ("folds: received 1", "2 or more")),
        (("--sizes", "100"), ("sizes: received '100'", "160-96")),
        (("--sizes", "big"), ("sizes: received 'big'", "160-96")),
        (("--epochs", "0"), ("epochs: received 0", "1 or more")),
        (("--widths", "8-8"), ("widths: received '8-8'",)),
        (("--refusal-images", "1"), ("refusal_images: received 1", "2 or more")),
    ],
)
def test_values_out_of_range(
    options: tuple[str, ...], parts: tuple[str, ...], phantoms: Path, tmp_path: Path
) -> None:
    refused(trainer("fit", "--data", phantoms, "--models", tmp_path, *options), *parts, code=2)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    """The command line in this process, which keeps its own signals."""
    from trainer.__main__ import main

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return main


Main = Callable[[list[str]], int]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--data", "x", "--resamples=-1"], "resamples: received -1; accepts 20"),
        (["export", "x.h5", "--rule", "best"], "rule: received 'best'; accepts one of"),
        (["export", "x.h5", "--calibration", "x"], "calibration: received 'x'"),
    ],
)
def test_values_out_of_range_where_nothing_is_trained(
    arguments: list[str], message: str, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["/a/x", "/b/x"], "received '/b/x', but x is /a/x already; name it otherwise"),
        (["x=/a", "x=/b"], "received 'x=/b', but x is /a already"),
        (["."], "received '.', which lacks a name or DIR"),
        (["=/a"], "name it otherwise with {option} NAME=/a"),
        (["x="], "received 'x=', which lacks a name or DIR"),
        (["test=/a"], "test is a set of the data itself"),
        (["/a/Cross-Validation"], "Cross-Validation is a set of the data itself"),
    ],
)
@pytest.mark.parametrize("option", ["--external", "--not-chest"])
def test_names_that_would_hide_another_set(
    option: str,
    pairs: list[str],
    message: str,
    main: Main,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [part for pair in pairs for part in (option, pair)]
    for name in ("evaluate", "fit"):
        assert main([name, "--data", "d", *given]) == 2
        said = capsys.readouterr().err
        assert f"error: {option}: received" in said
        assert message.format(option=option) in said


def test_a_set_from_elsewhere_is_not_named_as_the_data(
    main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", "a/clinic", "--external", "b/clinic"]) == 2
    assert "clinic is a set of the data itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--data", "x", "--folds", "2"),
        ("evaluate", "--data", "x", "--rule", "balanced"),
        ("export", "x.h5", "--machines", "keep"),
        ("export", "x.h5", "--refusal-images", "0"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        build_parser().parse_args(arguments)
    assert f"unrecognized arguments: {arguments[-2]}" in capsys.readouterr().err


def test_stopped_before_a_run_began_offers_none_to_go_on_with(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.commands.fit.prepare", stop)
    assert main(["fit", "--data", str(tmp_path), "--models", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "COMMAND"),
        (("fit", "--learning-rat", "x"), "invalid float value"),
        (("fit", "--colour"), "unrecognized arguments: --colour"),
        (("evaluate",), "--data"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    done = trainer(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_what_publishing_will_lack_is_said_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert missing_packages() == []
    monkeypatch.setattr(backend, "find_spec", lambda name: None if name == "tf2onnx" else 1)
    assert missing_packages() == ["tf2onnx"]


def test_help_needs_no_deep_learning_library() -> None:
    code = (
        "import contextlib, sys; from trainer.__main__ import main\n"
        "for name in ('', 'fit', 'evaluate', 'recalibrate', 'export', 'download'):\n"
        "    with contextlib.suppress(SystemExit): main([*name.split(), '--help'])\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'cv2', 'matplotlib'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("usage: ") == 6


def test_every_option_has_help_with_its_default() -> None:
    help_of = {
        names.split()[0].rstrip(","): " ".join(names.split())
        for names in re.split(r"\n  (?=--)", trainer("fit", "--help").stdout)[1:]
    }
    for item in (*fields(Options), *fields(Recipe)):
        text = help_of[f"--{item.name.replace('_', '-')}"]
        assert f"default {item.default}" in text, text
    assert "default models" in help_of["--models"]


class TestEvaluate:
    """`evaluate` on a published bundle."""

    def test_figures_are_those_of_the_manifest(self, tiny_run: TinyRun, tmp_path: Path) -> None:
        report, figures = tmp_path / "report.html", tmp_path / "figures.json"
        done = trainer(
            *("evaluate", "--bundle", tiny_run.models, "--data", tiny_run.data),
            *("--resamples", "50", "--report", report, "--json", figures),
            *("--external", f"more={tiny_run.data / 'val'}"),
            *("--not-chest", f"same={tiny_run.data / 'val'}"),
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(figures.read_text())
        manifest = tiny_run.bundle.manifest
        assert found["version"] == manifest.version
        test = found["sets"]["test"]
        for name, metric in manifest.metrics.items():
            assert test["metrics"][name]["value"] == pytest.approx(metric.value), name
        assert np.sum(test["confusion_matrix"]) == 16
        assert found["sets"]["more"]["images"] == 4
        assert 0 <= found["not_a_chest_xray_refused"]["same"]["value"] <= 1
        shares = (test[name]["value"] for name in ("refused", "unfamiliar"))
        either = test["refused_or_unfamiliar"]["value"]
        assert max(shares) <= either <= 1
        assert "<html" in report.read_text()

    def test_bundle_that_does_not_verify(self, tiny_run: TinyRun, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(tiny_run.bundle.path, tmp_path / "bundle"))
        content = bytearray((copy / "model.onnx").read_bytes())
        content[len(content) // 2] ^= 1
        (copy / "model.onnx").write_bytes(content)
        refused(
            trainer("evaluate", "--bundle", copy, "--data", tiny_run.data), copy, "does not match"
        )

    def test_no_bundle_and_unclear_split(self, tiny_run: TinyRun, data: Path) -> None:
        refused(trainer("evaluate", "--bundle", data, "--data", data), data, "neither a bundle")
        shutil.rmtree(data / "test")
        refused(trainer("evaluate", "--bundle", tiny_run.models, "--data", data), data, "--split")


@pytest.fixture(scope="module")
def exported(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What `export` makes of the network of the tiny run, with a caveat; read-only."""
    models = tmp_path_factory.mktemp("exported")
    done = trainer(
        *("export", tiny_run.bundle.file("model.h5"), "--models", models),
        *("--data", tiny_run.data, "--resamples", "20", "--caveat", "Looked at twice."),
    )
    assert done.returncode == 0, done.stderr
    return published(models)


def published(models: Path) -> Bundle:
    path = current(models)
    assert path is not None
    return open_bundle(path)


class TestExport:
    """`export` of a bare .h5."""

    def test_own_network_in_a_bundle_keeps_its_decision(
        self, tiny_run: TinyRun, exported: Bundle
    ) -> None:
        manifest, before = exported.manifest, tiny_run.bundle.manifest
        assert manifest.operating_point == before.operating_point
        assert manifest.calibration == before.calibration
        assert manifest.refusal == before.refusal
        assert manifest.heads == before.heads
        assert manifest.data == before.data
        assert manifest.data.kaggle
        card = exported.file("MODEL_CARD.md").read_text()
        for part in ("CC BY 4.0", "Adults", "datasets: [paultimothymooney"):
            assert part in card
        assert manifest.metrics["roc_auc"].value == pytest.approx(before.metrics["roc_auc"].value)

    def test_a_caveat_stays_and_calibration_on_what_was_learned_from_is_said(
        self, tiny_run: TinyRun, exported: Bundle, tmp_path: Path
    ) -> None:
        done = trainer(
            *("export", exported.file("model.h5"), "--models", tmp_path),
            *("--data", tiny_run.data, "--calibrate-on", "train", "--resamples", "20"),
        )
        assert done.returncode == 0, done.stderr
        assert "the network learned from these images" in done.stdout
        for bundle in (exported, published(tmp_path)):
            assert "**Looked at twice.**" in bundle.file("MODEL_CARD.md").read_text()

    def test_bare_network_gets_threshold_one_half_or_a_calibrated_one(
        self, tiny_run: TinyRun, tmp_path: Path
    ) -> None:
        h5 = tmp_path / "bare.h5"
        shutil.copyfile(tiny_run.bundle.file("model.h5"), h5)
        done = trainer("export", h5, "--models", tmp_path / "plain")
        assert done.returncode == 0, done.stderr
        plain = published(tmp_path / "plain").manifest
        assert (plain.operating_point.threshold, plain.operating_point.rule) == (0.5, "fixed=0.5")
        assert (plain.refusal, plain.metrics, plain.evaluated_on) == (None, {}, None)
        done = trainer(
            *("export", h5, "--models", tmp_path / "fitted", "--data", tiny_run.data),
            *("--calibrate-on", "train", "--rule", "balanced", "--resamples", "20"),
        )
        assert done.returncode == 0, done.stderr
        bundle = published(tmp_path / "fitted")
        fitted = bundle.manifest
        assert fitted.operating_point.rule == "balanced"
        assert fitted.calibration.temperature != 1
        assert fitted.evaluated_on is not None
        assert fitted.evaluated_on.startswith("test")
        card = bundle.file("MODEL_CARD.md").read_text()
        assert "Chosen on train alone: the temperature, " in card
        assert "the calibration of the causes" in card

    @pytest.mark.parametrize("more", [(), ("--split", "test")])
    def test_split_that_is_measured_is_not_calibrated_on(
        self, more: tuple[str, ...], phantoms: Path, tmp_path: Path
    ) -> None:
        refused(
            trainer(
                *("export", "any.h5", "--models", tmp_path, "--data", phantoms),
                *("--calibrate-on", "test", *more),
            ),
            "--calibrate-on test is the split that is measured",
            "--split",
        )

    def test_no_network(self, tmp_path: Path) -> None:
        (tmp_path / "text.h5").write_text("no network")
        refused(
            trainer("export", tmp_path / "text.h5", "--models", tmp_path / "models"),
            tmp_path / "text.h5",
            "not a Keras model",
        )
        assert current(tmp_path / "models") is None
