"""`fit`: from the folders to a published bundle, in stages that a killed run can resume.

    data -> folds -> members on all -> ensemble -> refusal -> export -> decision -> report

What a stage leaves in the run's folder is not done again.
"""

import hashlib
import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.bundle.manifest import VIRAL_HEAD
from shared.bundle.store import Bundle
from trainer.console import duration, going_on_by, say
from trainer.data.audit import fingerprint
from trainer.data.image_folder import load_unlike
from trainer.data.preparation import Prepared, describe_machines, prepare
from trainer.data.splits import folds
from trainer.errors import TrainerError
from trainer.evaluation.measure import check_others
from trainer.model.backend import load_keras, missing_packages
from trainer.runs.bundles import open_model
from trainer.runs.provenance import revision
from trainer.runs.request import Fitted, Request
from trainer.runs.run_folder import RunFolder, check_writable, write_atomically

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

_NETWORK, _H5 = "network.json", "model.h5"
_COMPARED = 500  # images, at most, on which .h5 and .onnx must answer alike
# By patient; one of them sets the limits. Which one moves that of the logit `chest_xray` from 2.3
# to 3.5; one of ten, in which a few odd images weigh more, from -0.1 to 3.5.
_HEAD_PARTS = 5


def fit(request: Request, run: RunFolder | None = None) -> Path:
    """Train and publish.

    Args:
        run: The run to go on with; None starts one.

    Returns:
        The folder of the published bundle.

    Raises:
        TrainerError: The data, the folders or the checkpoint are not usable; nothing is published.
            What would only be found at the end is checked before the first epoch.
    """
    started = time.monotonic()
    check_writable(request.models, "--models")
    check_writable(request.work, "--work")
    check_others(request.external, request.not_chest)
    if request.unlike is not None and not request.options.refusal_images:
        raise TrainerError("--unlike teaches the head that --refusal-images 0 leaves out: drop one")
    trained = run is not None and (run.path / _NETWORK).is_file()
    beside = None if trained else _open_beside(request)
    unlike = load_unlike(request.unlike) if request.unlike and not trained else None
    if missing := missing_packages():
        say(
            "Warning",
            f"{', '.join(missing)} not installed: the run cannot publish here. Install the rest, "
            "or go on with --resume on a machine that has it",
        )
    prepared = prepare(request.data, request.work, request.options, request.test)
    describe_machines(prepared.groups, request.options.machines)
    resumed = run is not None
    run = run or RunFolder.create(request.work, {**request.state(), **_images(prepared)})
    _check_same_images(request, prepared, run)
    worked_on_it = run.state.get("revisions", [])
    run.save(**request.state(), revisions=list(dict.fromkeys([*worked_on_it, revision()])))
    say("Run", f"{run.path}{' (resumed)' if resumed else ''}")
    with closing(run), going_on_by(_how_to_go_on(request, run)):
        fitted = _network(request, prepared, unlike, beside, run)

        from trainer.runs.publish import conclude

        path = conclude(request, prepared, fitted, run)
        run.save(published=path.name)
    say("Done", f"in {duration(time.monotonic() - started)}: {path}")
    return path


def _open_beside(request: Request) -> Bundle | None:
    """The bundle whose network is to answer beside the new ones, if any is."""
    if request.beside is None:
        return None
    bundle = open_model(request.beside)
    has = bundle.manifest
    if VIRAL_HEAD not in has.heads or has.refusal is None or _H5 not in has.files:
        raise TrainerError(
            f"--beside {request.beside}: it has no {_H5} that tells bacterial from viral "
            "pneumonia, as the new networks do, and whom to judge. Give a bundle that `fit` "
            "published."
        )
    if request.unlike is not None:
        raise TrainerError(
            "--unlike teaches a head that the network of --beside has, and keeps: drop one"
        )
    return bundle


def _check_same_images(request: Request, prepared: Prepared, run: RunFolder) -> None:
    """A resumed run must learn from the images that it began with."""
    now, began = _images(prepared), run.state
    if began["fingerprint"] != now["fingerprint"]:
        raise TrainerError(
            f"The training images in {request.data} have changed since the run {run.path} began. "
            "Put them back, or start a new run without --resume."
        )
    if began["learned"] != now["learned"]:
        raise TrainerError(
            f"The run {run.path} left out other images than this version of the program does. "
            "Finish it with the version that began it, or start a new run without --resume."
        )


def _images(prepared: Prepared) -> dict[str, str | None]:
    learned = prepared.splits["train"].select(np.flatnonzero(prepared.learned))
    return {"fingerprint": prepared.data.fingerprint, "learned": fingerprint(learned)}


def _how_to_go_on(request: Request, run: RunFolder) -> str:
    elsewhere = request.work.resolve() != (request.models / ".trainer").resolve()
    work = f" --work {request.work}" if elsewhere else ""
    return (
        f"Go on with: python -m trainer fit --models {request.models}{work} --resume "
        f"{run.path.name}"
    )


def _network(
    request: Request,
    prepared: Prepared,
    unlike: "NDArray[np.uint8] | None",
    beside: Bundle | None,
    run: RunFolder,
) -> Fitted:
    """Train the members and put them together; or load what an earlier process finished."""
    load_keras()
    from trainer.model.keras_file import load_network, save_h5
    from trainer.model.onnx_export import check_equal, export_onnx

    h5, onnx, record_file = (run.path / n for n in (_H5, "model.onnx", _NETWORK))
    if record_file.is_file():
        record = json.loads(record_file.read_text(encoding="utf-8"))
        say("Network", "trained already")
        return Fitted(load_network(h5), h5, onnx, record)
    model, record = _train(request, prepared, unlike, beside, run.path)
    try:
        save_h5(model, h5)
    except OSError as error:
        raise TrainerError(
            f"{run.path}: {error}. Free some space, then go on with --resume."
        ) from error
    model = load_network(h5)  # what is exported and measured is what the file holds
    export_onnx(model, onnx)
    images = prepared.splits["train"].images
    record["onnx_difference"] = check_equal(model, onnx, images[:: -(-len(images) // _COMPARED)])
    say("Export", f"ONNX equals .h5 to {record['onnx_difference']:.1g} on training images")
    write_atomically(record_file, json.dumps(record))
    return Fitted(model, h5, onnx, record)


def _train(
    request: Request,
    prepared: Prepared,
    unlike: "NDArray[np.uint8] | None",
    beside: Bundle | None,
    folder: Path,
) -> tuple["keras.Model", dict[str, Any]]:
    import keras

    from trainer.model.keras_file import load_network
    from trainer.model.network import combine, members_of, multiply_adds
    from trainer.model.ood import fit_refusal
    from trainer.training.checkpoint import ResumeMismatch
    from trainer.training.cross_validation import cross_validate
    from trainer.training.loop import fit_member, predict_logits

    recipe, options = request.recipe, request.options
    learned = np.flatnonzero(prepared.learned)
    train = prepared.splits["train"].select(learned)
    rare = prepared.machines[learned] if options.machines == "weigh" else None
    members = []
    try:
        found = cross_validate(prepared, recipe, options, folder)
        for index, member in enumerate(recipe.members()):
            several = f"Member {index + 1}/{len(recipe.input_sizes)}, {member.sizes} pixels"
            members.append(
                fit_member(
                    member,
                    train,
                    folder / f"member-{index + 1}",
                    options.seed + index,
                    rare,
                    label=several if len(recipe.input_sizes) > 1 else "Training",
                )
            )
    except ResumeMismatch as error:
        raise TrainerError(str(error)) from error
    networks, answers = [m.model for m in members], found.logits
    refusal = unfamiliar = None
    if beside is not None:
        earlier = members_of(load_network(beside.file(_H5)))
        # It may have learned from these images: what the new ones say of them is out of fold.
        images = prepared.splits["train"].images
        known = np.stack([predict_logits(network, images)[:, :2] for network in earlier])
        networks, answers = [*earlier, *networks], np.concatenate([known, answers])
        refusal, unfamiliar = (
            part and part.model_dump()
            for part in (beside.manifest.refusal, beside.manifest.unfamiliar)
        )
    model = networks[0] if len(networks) == 1 else combine(networks)
    started = time.monotonic()
    if options.refusal_images and refusal is None:
        more = f", and whom it does not know from {len(unlike)}" if unlike is not None else ""
        say("Refusal", f"learning what is no chest X-ray{more}")
        # Also patients of machines that the network did not learn from: it may judge them.
        everyone = prepared.splits["train"]
        fitted, held = folds(everyone, _HEAD_PARTS, options.seed)[0]
        model, refusal, unfamiliar = fit_refusal(
            model,
            everyone.select(fitted),
            everyone.select(held),
            recipe,
            options.seed,
            min(options.refusal_images, 4 * len(train)),
            unlike=unlike,
        )
    refusal_seconds = time.monotonic() - started
    record = {
        "histories": [m.history for m in members],
        "out_of_fold": answers.tolist(),
        "machines": found.machines.tolist(),
        "unlike": beside.manifest.training.get("unlike") if beside else _described(unlike),
        "beside": beside and {"version": beside.manifest.version, "networks": len(earlier)},
        "refusal": refusal,
        "unfamiliar": unfamiliar,
        "parameters": model.count_params(),
        "multiply_adds": multiply_adds(model),
        "keras": keras.__version__,
        # Of every process that worked on the members, not of the last one alone.
        "seconds": sum(epoch["seconds"] for m in members for epoch in m.history) + refusal_seconds,
    }
    return model, record


def _described(images: "NDArray[np.uint8] | None") -> dict[str, Any] | None:
    """What the manifest says of the X-rays that must not be judged: how many, and which."""
    if images is None:
        return None
    return {"images": len(images), "sha256": hashlib.sha256(images.tobytes()).hexdigest()}
