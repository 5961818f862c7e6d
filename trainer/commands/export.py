"""`export`: make a bundle out of a bare Keras file, ours or one from elsewhere."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.bundle.manifest import Calibration, Data, Manifest, OperatingPoint
from shared.bundle.store import MANIFEST_NAME
from shared.interpretation import Interpretation
from shared.labels import PNEUMONIA
from trainer.config.options import DECIDING, Options
from trainer.console import say
from trainer.decision.decision import decide
from trainer.errors import TrainerError
from trainer.evaluation.measure import (
    assess,
    find_single,
    load_single,
    measure_network,
    run_network,
    warn_if_learned,
)
from trainer.evaluation.results import Findings
from trainer.runs.bundles import open_model
from trainer.runs.provenance import revision, versions
from trainer.runs.publish import draft_of, publish_files, texts_of
from trainer.runs.run_folder import check_writable


def export(
    given: Path,
    models: Path,
    data: Path | None,
    split: str | None,
    calibrate_on: str | None,
    positive: str,
    options: Options,
) -> Path:
    """Publish a bundle made of a Keras file, ours or one from elsewhere.

    If the file lies in a bundle, its calibration, threshold and rules of refusal are kept;
    otherwise the threshold is 0.5 on the uncalibrated probability, unless `calibrate_on` is given.
    The bundle's `model.h5` is written anew, and its `model.onnx` made of that: what both say is
    compared with the network as it was given.

    Args:
        given: The network's file, .h5 or .keras.
        models: Where to publish.
        data: Images to measure on; None: no figures, and random images to compare networks on.
        split: Which split of them; None: "test", or what there is.
        calibrate_on: A split to calibrate and to choose the threshold on; not the one measured on.
        positive: What a network from elsewhere was trained to detect, NORMAL or PNEUMONIA.
        options: Calibration, rule of the threshold, resamples, and the report's pictures.

    Returns:
        The folder of the bundle.

    Raises:
        TrainerError: The file cannot be loaded or exported, its answers are the wrong way round on
            the data, or these cannot be used, or are to be calibrated and measured on at once.
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
    from trainer.model.foreign import as_classifier
    from trainer.model.keras_file import load_network, save_h5
    from trainer.model.onnx_export import check_equal, export_onnx, heads_of, named_outputs

    network = load_network(given)
    if named_outputs(network) and positive != PNEUMONIA:
        raise TrainerError(
            f"{given} is a network of this trainer, which says how likely pneumonia is: leave out "
            f"--positive {positive}."
        )
    kept = _manifest_beside(given)
    measured = load_single(data, split) if data else None
    images = measured[1].images[:64] if measured else _noise()
    if not named_outputs(network):
        network = as_classifier(network, images, positive)
    heads = heads_of(network)
    with tempfile.TemporaryDirectory() as temporary:
        h5, onnx = Path(temporary) / "model.h5", Path(temporary) / "model.onnx"
        save_h5(network, h5)
        export_onnx(load_network(h5), onnx)
        difference = check_equal(network, onnx, images)
        say("Export", f"the bundle's networks equal {given.name} to {difference:.1g}")
        interpretation = _interpretation(onnx, heads, kept, data, calibrate_on, options)
        own = []
        if measured:
            own.append(measure_network(onnx, *measured, interpretation, options))
        else:
            say(
                "  warning",
                "nothing is known of how good the network is, and whether it says PNEUMONIA where "
                "pneumonia is: give X-rays with --data to measure that",
            )
        findings = assess(onnx, interpretation, own, options)
        _refuse_reversed(findings, positive)
        training = _training(kept, options, calibrate_on)
        findings = replace(
            findings,
            training=training if positive == PNEUMONIA else {**training, "positive": positive},
            data=kept.data if kept else Data(),
            cost={"parameters": network.count_params(), **findings.cost},
            caveat=training["options"].get("caveat", ""),
        )
        draft = draft_of(findings, bool(named_outputs(network)))
        files = {file.name: file.read_bytes() for file in (h5, onnx)}
        path = publish_files(models, files, texts_of(findings), draft)
    point = interpretation.operating_point
    say("Decision", f"PNEUMONIA from {point.threshold:.3f} on (rule {point.rule})")
    if draft.lacks:
        say("  warning", f"the bundle lacks {', '.join(draft.lacks)}: each answer will say so")
    say("Done", str(path))
    return path


def _refuse_reversed(findings: Findings, positive: str) -> None:
    """Refuse a network that ranks normal images above pneumonias beyond doubt."""
    for result in findings.results:
        area = result.evaluation.metrics["roc_auc"]
        if area.high < 0.5:
            remedy = (
                "It was probably trained to detect NORMAL: say so with --positive NORMAL"
                if positive == PNEUMONIA
                else "Leave out --positive NORMAL"
            )
            raise TrainerError(
                f"The network takes normal images for pneumonia, and pneumonia for normal: on "
                f"{result.name} the area under the ROC curve is {area}, and chance is 0.5. {remedy}"
                ", or check the names of the folders. Nothing was published."
            )


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
        if kept is not None:
            warn_if_learned(kept.data, images)
        found = decide(run_network(onnx, images, name).logits, heads, images, options)
        return replace(found, refusal=kept.refusal, unfamiliar=kept.unfamiliar) if kept else found
    if kept is not None:
        return Interpretation.of(kept)
    plain = OperatingPoint(threshold=0.5, rule="fixed=0.5", low=0.5, high=0.5)
    causes = Calibration() if "viral" in heads else None
    return Interpretation(heads, plain, cause_calibration=causes)


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
