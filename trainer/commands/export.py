"""`export`: make a bundle out of a bare .h5, ours or one from elsewhere."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from shared.bundle.manifest import Calibration, Data, Draft, Manifest, OperatingPoint
from shared.bundle.store import MANIFEST_NAME, publish
from shared.interpretation import Interpretation
from trainer.config.options import DECIDING, Options
from trainer.console import say
from trainer.data.audit import fingerprint
from trainer.data.dataset import Split
from trainer.decision.decision import decide
from trainer.errors import TrainerError
from trainer.evaluation.measure import find_single, load_single, run_network
from trainer.evaluation.results import Findings, SetResult, measure
from trainer.report.html import render_report
from trainer.report.model_card import render_model_card
from trainer.runs.bundles import open_model
from trainer.runs.provenance import revision, versions
from trainer.runs.publish import describe, draft_of
from trainer.runs.run_folder import check_writable


def export(
    h5: Path,
    models: Path,
    data: Path | None,
    split: str | None,
    calibrate_on: str | None,
    options: Options,
) -> Path:
    """Publish a bundle made of a Keras .h5, ours or one from elsewhere.

    If the .h5 lies in a bundle, its calibration, threshold and rules of refusal are kept;
    otherwise the threshold is 0.5 on the uncalibrated probability, unless `calibrate_on` is given.

    Args:
        h5: The network.
        models: Where to publish.
        data: Images to measure on; None: no figures, and random images to compare .h5 and .onnx.
        split: Which split of them; None: "test", or what there is.
        calibrate_on: A split to calibrate and to choose the threshold on; not the one measured on.
        options: Calibration, rule of the threshold, resamples, and the report's pictures.

    Returns:
        The folder of the bundle.

    Raises:
        TrainerError: The .h5 cannot be loaded or exported, or the data cannot be used, or are to be
            calibrated and measured on at once.
        PublishFailed: The models folder cannot be written or is full.
    """
    check_writable(models, "--models")
    if calibrate_on and data is None:
        raise TrainerError("--calibrate-on needs the images: give their folder with --data.")
    if calibrate_on and data and find_single(data, split)[1] == calibrate_on:
        raise TrainerError(
            f"--calibrate-on {calibrate_on} is the split that is measured, and its figures would "
            "be too good. Calibrate on another one, or measure another one with --split."
        )
    from trainer.model.backend import load_keras

    load_keras()
    from trainer.model.onnx_export import (
        check_equal,
        export_onnx,
        heads_of,
        load_network,
        named_outputs,
    )

    model = load_network(h5)
    heads = heads_of(model)
    kept = _manifest_beside(h5)
    measured = load_single(data, split) if data else None
    with tempfile.TemporaryDirectory() as temporary:
        onnx = Path(temporary) / "model.onnx"
        export_onnx(model, onnx)
        difference = check_equal(model, onnx, measured[1].images[:64] if measured else _noise())
        say("Export", f"ONNX equals .h5 to {difference:.1g}")
        interpretation = _interpretation(onnx, heads, kept, data, calibrate_on, options)
        findings = Findings(
            interpretation=interpretation,
            results=[],
            training=_training(kept, options, calibrate_on),
            data=kept.data if kept else Data(),
            cost={"parameters": model.count_params(), "onnx_bytes": onnx.stat().st_size},
            caveat=options.caveat or _caveat(kept),
            images=options.report_images,
            samples=options.samples,
        )
        if measured:
            findings.results.append(_measured(onnx, *measured, findings, options))
            describe(measured[0], findings.results[0].evaluation)
        draft = draft_of(findings, heads, bool(named_outputs(model)))

        def write(folder: Path) -> Draft:
            shutil.copyfile(h5, folder / "model.h5")
            shutil.copyfile(onnx, folder / "model.onnx")
            if findings.results:
                for name, render in (
                    ("report.html", render_report),
                    ("MODEL_CARD.md", render_model_card),
                ):
                    (folder / name).write_text(render(findings), encoding="utf-8")
            return draft

        path = publish(models, write)
    point = interpretation.operating_point
    say("Decision", f"PNEUMONIA from {point.threshold:.3f} on (rule {point.rule})")
    say("Done", str(path))
    return path


def _interpretation(
    onnx: Path,
    heads: tuple[str, ...],
    kept: Manifest | None,
    data: Path | None,
    calibrate_on: str | None,
    options: Options,
) -> Interpretation:
    if data is not None and calibrate_on:
        name, images = load_single(data, calibrate_on)
        if kept is not None and kept.data.fingerprint == fingerprint(images):
            say(
                "  warning",
                "the network learned from these images: it is surer of them than of others, and "
                "so is what is calibrated on them",
            )
        return decide(
            run_network(onnx, images, name).logits,
            heads,
            images,
            options,
            refusal=kept.refusal if kept else None,
            unfamiliar=kept.unfamiliar if kept else None,
        )
    if kept is not None:
        return Interpretation.of(kept)
    plain = OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5)
    causes = Calibration() if "viral" in heads else None
    return Interpretation(heads, plain, cause_calibration=causes)


def _caveat(kept: Manifest | None) -> str:
    return str(kept.training.get("options", {}).get("caveat", "")) if kept else ""


def _training(kept: Manifest | None, options: Options, calibrate_on: str | None) -> dict[str, Any]:
    """How the network came about, with what was decided and said anew, if anything was."""
    found: dict[str, Any] = (
        {"exported_from": "a Keras .h5", "versions": versions(), "revisions": [revision()]}
        if kept is None
        else kept.training
    )
    now: dict[str, Any] = {"caveat": options.caveat} if options.caveat else {}
    if calibrate_on is not None:
        now |= {name: getattr(options, name) for name in DECIDING}
        found = {**found, "calibrated_on": calibrate_on}
    return {**found, "options": {**found.get("options", {}), **now}}


def _measured(
    onnx: Path, name: str, images: Split, findings: Findings, options: Options
) -> SetResult:
    return measure(
        name,
        images,
        run_network(onnx, images, name),
        findings.interpretation,
        options.resamples,
        options.seed,
    )


def _manifest_beside(h5: Path) -> Manifest | None:
    """The manifest of the bundle that the .h5 lies in, if it does and the bundle verifies."""
    if not (h5.parent / MANIFEST_NAME).is_file():
        return None
    bundle = open_model(h5.parent)
    return bundle.manifest if h5.name in bundle.manifest.files else None


def _noise() -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    """Smooth random images to compare two networks on where there are no X-rays."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 28, 28), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)
