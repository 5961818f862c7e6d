"""The last stages of a run: decide, measure, report, publish."""

import csv
import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.bundle.manifest import Calibration, Draft, Lack, Metric, Refusal, Unfamiliar
from shared.bundle.store import publish
from shared.network import Outputs
from trainer.config.options import CROSS_VALIDATION
from trainer.data.audit import class_counts
from trainer.decision.decision import decide
from trainer.evaluation.measure import assess, run_network
from trainer.evaluation.results import Findings, machine_figures, measure, member_figures
from trainer.model.onnx_export import heads_of, named_outputs
from trainer.report.rendering import render_model_card, render_report
from trainer.runs.provenance import versions
from trainer.runs.request import Fitted, Request
from trainer.runs.run_folder import RunFolder, write_atomically

if TYPE_CHECKING:
    from trainer.data.preparation import Prepared


def conclude(request: Request, prepared: "Prepared", fitted: Fitted, run: RunFolder) -> Path:
    """Decide on answers out of fold, measure, write the report and the card, and publish.

    Returns:
        The folder of the bundle.

    Raises:
        PublishFailed: The models folder cannot be written or is full; nothing is left there.
    """
    options, record = request.options, fitted.record
    heads = heads_of(fitted.model)
    refusal = Refusal(**record["refusal"]) if record["refusal"] else None
    unfamiliar = Unfamiliar(**record["unfamiliar"]) if record["unfamiliar"] else None
    train, out_of_fold = prepared.splits["train"], np.array(record["out_of_fold"], np.float32)
    crossed = Outputs(out_of_fold.mean(axis=0))
    # The networks of the folds have no heads but those of the first logits.
    plain = decide(crossed.logits, heads, train, options)
    interpretation = replace(plain, refusal=refusal, unfamiliar=unfamiliar)
    results = []
    for name in ("test", CROSS_VALIDATION, "val"):
        split = train if name == CROSS_VALIDATION else prepared.splits.get(name)
        if split is None:
            continue
        outputs = crossed if split is train else run_network(fitted.onnx, split, name)
        rule = plain if split is train else interpretation
        results.append(measure(name, split, outputs, rule, options))
    others = request.external, request.not_chest
    findings = replace(
        assess(fitted.onnx, interpretation, results, options, *others, fitted.model),
        training=training_record(request, prepared, record, run.state["revisions"]),
        cost={
            "parameters": record["parameters"],
            "multiply_adds": record["multiply_adds"],
            "onnx_bytes": fitted.onnx.stat().st_size,
        },
        data=prepared.data,
        audit=prepared.audit,
        histories=record["histories"],
        members=member_figures(out_of_fold[..., 0], train, options),
    )
    texts = {**texts_of(findings), "history.csv": history_csv(record["histories"])}
    for name, text in texts.items():
        write_atomically(run.path / name, text)
    draft = draft_of(findings, bool(named_outputs(fitted.model)))
    network = {path.name: path.read_bytes() for path in (fitted.h5, fitted.onnx)}
    return publish_files(request.models, network, texts, draft)


def texts_of(findings: Findings) -> dict[str, str]:
    """The report and the model card, by the name of their file; none without any figures."""
    if not findings.results:
        return {}
    return {"report.html": render_report(findings), "MODEL_CARD.md": render_model_card(findings)}


def publish_files(
    models: Path, network: dict[str, bytes], texts: dict[str, str], draft: Draft
) -> Path:
    """Publish a bundle of a network's files and of texts, both by name.

    Returns:
        Its folder.

    Raises:
        PublishFailed: The models folder cannot be written or is full; nothing is left there.
    """
    files = network | {name: text.encode() for name, text in texts.items()}

    def write(folder: Path) -> Draft:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return draft

    return publish(models, write)


def draft_of(findings: Findings, heatmap: bool) -> Draft:
    """The manifest before it is published, with the figures of the first result, if any."""
    rule = findings.interpretation
    has: dict[Lack, bool] = {
        "calibration": rule.calibration != Calibration(),
        "refusal": rule.refusal is not None,
        "familiarity": rule.unfamiliar is not None,
        "figures": bool(findings.results),
    }
    figures: dict[str, Any] = {}
    if findings.results:
        first = findings.results[0]
        found = first.evaluation
        figures = {
            "metrics": {name: Metric(**asdict(figure)) for name, figure in found.metrics.items()},
            "evaluated_on": f"{first.name}: {found.images} images of {found.patients} patients",
            "counts": class_counts(first.split),
            "confusion_matrix": found.confusion,
        }
    return Draft(
        **vars(rule),  # each under the same name
        heatmap=heatmap,
        data=findings.data,
        **figures,
        training=findings.training,
        lacks=tuple(part for part, there in has.items() if not there),
    )


def training_record(
    request: Request, prepared: "Prepared", record: dict[str, Any], revisions: list[str]
) -> dict[str, Any]:
    """Everything a run depends on, for the manifest: no path and nothing of this machine's name."""
    beside = record.get("beside")
    # Who answers beside the new networks may have seen the machines.
    out_of_fold = np.array(record["out_of_fold"])[beside["networks"] if beside else 0 :]
    machines = np.reshape(record["machines"], (len(out_of_fold), -1, 2))  # maybe none
    return {
        "recipe": request.recipe.to_json(),
        "options": request.options.to_json(),
        "unlike": record.get("unlike"),
        "beside": beside,
        "calibrated_on": CROSS_VALIDATION,
        "acquisition": [group.to_json() for group in prepared.groups],
        "machines": machine_figures(
            prepared.splits["train"].labels,
            prepared.machines,
            out_of_fold[..., 0].mean(axis=0),
            machines[..., 0].mean(axis=0),
        ),
        "seconds": round(record["seconds"]),
        "onnx_difference": record["onnx_difference"],
        "versions": versions(),
        "revisions": revisions,
    }


def history_csv(histories: list[list[dict[str, float]]]) -> str:
    """The epochs of every member as CSV: member, epoch, loss, accuracy..."""
    columns = list(histories[0][0]) if histories and histories[0] else ["epoch"]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["member", *columns], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for index, history in enumerate(histories, start=1):
        writer.writerows({"member": index, **row} for row in history)
    return text.getvalue()
