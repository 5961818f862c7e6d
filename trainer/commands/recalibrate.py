"""`recalibrate`: the same network with calibration and threshold of one hospital."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.bundle.store import Bundle, BundleInvalid
from shared.interpretation import Interpretation
from trainer.config.options import DECIDING, Options
from trainer.console import say
from trainer.data.audit import class_counts, fingerprint
from trainer.data.dataset import Split
from trainer.data.splits import without_copies
from trainer.decision.recalibration import Recalibrated
from trainer.decision.recalibration import recalibrate as fit_rule
from trainer.errors import TrainerError
from trainer.evaluation.changes import Change, changes_of, conclusion
from trainer.evaluation.measure import assess, load_single, run_network, warn_if_learned
from trainer.evaluation.results import SetResult, measure
from trainer.report.summary import MANY
from trainer.runs.provenance import revision, versions
from trainer.runs.publish import draft_of, publish_files, texts_of
from trainer.runs.run_folder import check_writable

AFTER = "this hospital, out of fold"
BEFORE = "this hospital, before"
_NETWORK = ("model.h5", "model.onnx")


def recalibrate(
    bundle: Bundle, data: Path, split: str | None, models: Path, options: Options
) -> Path:
    """Publish the network of a bundle with calibration and threshold fitted to labelled X-rays.

    Refusal, familiarity and the calibration of the causes are kept. The figures that are published
    are of answers out of fold, by patient; the rule is fitted on all.

    Args:
        bundle: The bundle.
        data: A folder or .zip with NORMAL and PNEUMONIA at its top, or with splits.
        split: Which split; None: "test", or what there is.
        models: Where to publish.
        options: Parts, calibration, rule of the threshold, resamples, and the report's pictures.

    Returns:
        The folder of the new bundle.

    Raises:
        TrainerError: Too few images, images that cannot be used, or a network that cannot tell
            pneumonia from normal on them; nothing is published.
        PublishFailed: The models folder cannot be written or is full.
    """
    check_writable(models, "--models")
    manifest, kept = bundle.manifest, Interpretation.of(bundle.manifest)
    try:
        onnx = [bundle.file(name) for name in _NETWORK][-1]
    except BundleInvalid as error:
        raise TrainerError(f"The bundle cannot be recalibrated: {error}") from error
    say("Bundle", manifest.version)
    name, loaded = load_single(data, split)
    warn_if_learned(manifest.data, loaded)
    images, copies = without_copies(loaded)
    if copies:
        say("  left out", f"{copies} exact copies of other images")
    if manifest.training.get("recalibrated", {}).get("fingerprint") == fingerprint(images):
        say(
            "  warning",
            "the bundle was recalibrated on these very images: its figures before flatter it",
        )
    outputs = run_network(onnx, images, name)
    found = fit_rule(outputs.logits, outputs.features, images, kept, options)
    before = measure(BEFORE, images, outputs, kept, options)
    after = measure(AFTER, images, outputs, found.interpretation, options, found.answers)
    _refuse_chance(after)
    findings = assess(onnx, found.interpretation, [after, before], options)
    changes = changes_of(
        *(kept, found, (before.judged, before.evaluation), (after.judged, after.evaluation)),
        options,
    )
    findings = replace(
        findings,
        training={
            **manifest.training,
            "recalibrated": _record(manifest.version, images, found, changes, options),
        },
        data=manifest.data,
        changes=changes,
    )
    try:
        # Of the hash in the manifest, or not at all.
        files = {name: bundle.read(name) for name in {*_NETWORK, "history.csv"} & {*manifest.files}}
    except BundleInvalid as error:
        raise TrainerError(f"The bundle was changed meanwhile: {error}") from error
    draft = draft_of(findings, manifest.heatmap)
    path = publish_files(models, files, texts_of(findings), draft)
    _tell(changes, after)
    say("Done", f"{path}; a service of this models folder takes it up by itself")
    return path


def _refuse_chance(result: SetResult) -> None:
    """Refuse a network whose ranking no calibration can mend."""
    area = result.evaluation.metrics["roc_auc"]
    if area.low <= 0.5:
        raise TrainerError(
            f"On these X-rays the network does not tell pneumonia from normal: the area under the "
            f"ROC curve is {area}, and chance is 0.5. No calibration mends that. Do not use it "
            "here; check that NORMAL and PNEUMONIA hold what their names say. Nothing was "
            "published."
        )


def _record(
    version: str, images: Split, found: Recalibrated, changes: list[Change], options: Options
) -> dict[str, Any]:
    """What the manifest tells of the recalibration; names no file and nobody."""
    refused = found.answers.refused
    return {
        "from": version,
        "images": len(images),
        "patients": len(set(images.patients)),
        "counts": class_counts(images),
        "refused": 0 if refused is None else int(np.sum(refused)),
        "fingerprint": fingerprint(images),
        "how": f"fitted on all; figures by cross-fitting in {options.folds} parts by patient",
        "options": {
            name: getattr(options, name) for name in ("seed", "folds", "resamples", *DECIDING)
        },
        "changes": [change.to_json() for change in changes],
        "versions": versions(),
        "revision": revision(),
    }


def _tell(changes: list[Change], after: SetResult) -> None:
    say("Changes", "before, after with 95 % interval, and how sure that is")
    for change in changes:
        say("", f"{change.name:<12}{change.before.value:>7.3f}  {change.after}  {change.verdict}")
    say("", conclusion(changes))
    if after.told is not None and after.told.value > MANY:
        say(
            "  warning",
            f"{after.told.value:.0%} of these X-rays are refused or flagged as unlike those that "
            "the network knows, and stay so: it should not be relied on for such patients",
        )
