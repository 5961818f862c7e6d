"""`evaluate`: score a bundle on any folder, at its own calibration and threshold."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from shared.bundle.store import Bundle
from shared.interpretation import Interpretation
from trainer.config.options import Options
from trainer.console import say
from trainer.errors import TrainerError
from trainer.evaluation.measure import assess, load_single, measure_network
from trainer.evaluation.results import Findings
from trainer.report.rendering import render_report
from trainer.runs.run_folder import write_atomically


def evaluate(
    bundle: Bundle,
    data: Path,
    split: str | None,
    external: dict[str, Path],
    not_chest: dict[str, Path],
    options: Options,
    report: Path | None,
    figures: Path | None,
) -> None:
    """Score a bundle at its own calibration and threshold, and print the figures.

    Args:
        bundle: The bundle.
        data: A folder or .zip with the layout of the data set, or with the classes at its top.
        split: Which split; None: "test", or what there is.
        external: Further sets, by name.
        not_chest: Folders of pictures that should be refused, by name.
        options: Resamples and the report's pictures.
        report: Where to write an HTML report; None: none.
        figures: Where to write the figures as JSON; None: nowhere.

    Raises:
        TrainerError: The data cannot be used, or a file cannot be written.
    """
    manifest, interpretation = bundle.manifest, Interpretation.of(bundle.manifest)
    onnx = bundle.file("model.onnx")
    name, images = load_single(data, split)
    say("Bundle", manifest.version)
    own = measure_network(onnx, name, images, interpretation, options)
    findings = replace(
        assess(onnx, interpretation, [own], options, external, not_chest),
        training=manifest.training,
        published=manifest,
    )
    if report is not None:
        _write(report, render_report(findings))
    if figures is not None:
        _write(figures, json.dumps(_as_json(findings, manifest.version), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise TrainerError(
            f"{path} cannot be written: {error.strerror or error}. Name another file."
        ) from error
    say("Written", str(path))


def _as_json(findings: Findings, version: str) -> dict[str, object]:
    return {
        "version": version,
        "threshold": findings.interpretation.operating_point.threshold,
        "sets": {
            r.name: {
                "images": r.evaluation.images,
                "patients": r.evaluation.patients,
                "metrics": {name: asdict(m) for name, m in r.evaluation.metrics.items()},
                "confusion_matrix": r.evaluation.confusion,
                "confusion_matrix_three": r.evaluation.confusion_three,
                **{n.replace(" ", "_"): share and asdict(share) for n, share in r.shares.items()},
            }
            for r in findings.results
        },
        "not_a_chest_xray_refused": {n: asdict(s) for n, s in findings.not_chest.items()},
    }
