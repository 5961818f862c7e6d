"""Everything a run or an evaluation found out, for the report, the model card and the manifest."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import Calibration, Data, Draft
from shared.interpretation import Answers, Interpretation
from shared.network import Outputs
from trainer.bootstrap import Interval, Weights, intervals, mean_interval
from trainer.config.options import Options
from trainer.data.audit import Audit
from trainer.data.dataset import Split
from trainer.evaluation.changes import Change
from trainer.evaluation.heatmap_checks import central_share, randomised_maps, similarity
from trainer.evaluation.metrics import Evaluation, Judged, area_under_roc, evaluate

if TYPE_CHECKING:
    import keras

HOSPITAL = "the X-rays of the hospital that recalibrated it"
_SHOWN = 4  # heatmaps beside those of shuffled weights
_HELD = "a fifth of the training patients"  # which `fit` holds out of the refusal


@dataclass(frozen=True)
class SetResult:
    """One set of images, what the network says of them, and how good that is.

    Attributes:
        name: E.g. "test".
        split: The images.
        outputs: Logits, maps and features.
        judged: The answers beside the truth.
        evaluation: The figures.
        shares: Of the images that are "refused" as no chest X-rays, flagged as "unfamiliar", and
            "refused or unfamiliar"; None where the network does not say.
    """

    name: str
    split: Split
    outputs: Outputs
    judged: Judged
    evaluation: Evaluation
    shares: dict[str, Interval | None]

    @property
    def told(self) -> Interval | None:
        """Share of the images whose reader is told not to rely on an answer."""
        return self.shares["refused or unfamiliar"]


@dataclass(frozen=True)
class HeatmapCheck:
    """Whether the heatmaps can be believed.

    Attributes:
        central: Mean share of the weight inside the central 80 %, with its interval.
        randomised: Mean rank correlation with the maps of shuffled weights, with its interval; near
            0 is right.
        images: Positions of the images that are shown.
        shuffled: (n, h, w) float32, their maps under shuffled weights.
    """

    central: Interval | None
    randomised: Interval | None
    images: list[int]
    shuffled: NDArray[np.float32] | None


@dataclass(frozen=True)
class Counterfactual:
    """What a change of the picture, and not of the patient, does to the answers.

    Attributes:
        name: Of the change.
        shift: Mean change of the uncalibrated logit of pneumonia.
        size: Mean of its size, whatever its sign.
        changed: Share of images whose label changes.
    """

    name: str
    shift: Interval
    size: Interval
    changed: Interval


@dataclass(frozen=True)
class MemberFigures:
    """One member of an ensemble, or the ensemble, out of fold, uncalibrated."""

    name: str
    roc_auc: Interval
    accuracy: Interval


@dataclass(frozen=True)
class Findings:
    """All of it.

    Attributes:
        interpretation: Calibration, operating point, refusal and familiarity.
        results: By name; the first is the one whose figures stand in the manifest.
        training: Options, recipe, versions of libraries.
        cost: "parameters", "multiply_adds", "onnx_bytes" where known.
        data: What the network was fitted on, where that is known.
        audit: Of the data; None for an evaluation.
        histories: One list of epochs for each member.
        members: Figures of each member and the ensemble; empty for one network.
        heatmaps: The checks; None without an activation map.
        counterfactuals: What each change of the picture does to the answers about the first set.
        not_chest: Share refused of pictures that are no chest X-rays, by name of the folder.
        caveat: What readers of the figures must know beside them; may be empty.
        images: Whether X-rays and file names may be shown.
        samples: How many pictures of each kind.
        changes: What recalibrating changed; empty where that was not done.
        published: The manifest of the bundle that is evaluated, to compare its figures with these.
    """

    interpretation: Interpretation
    results: list[SetResult]
    training: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, int] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    audit: Audit | None = None
    histories: list[list[dict[str, float]]] = field(default_factory=list)
    members: list[MemberFigures] = field(default_factory=list)
    heatmaps: HeatmapCheck | None = None
    counterfactuals: list[Counterfactual] = field(default_factory=list)
    not_chest: dict[str, Interval] = field(default_factory=dict)
    caveat: str = ""
    images: bool = True
    samples: int = 8
    changes: list[Change] = field(default_factory=list)
    published: Draft | None = None

    @property
    def chosen_on(self) -> dict[str, list[str]]:
        """What was chosen on images and not fixed by an option, by the set that it was chosen on:
        {"cross-validation": ["the threshold", ...]}."""
        recalibrated = self.training.get("recalibrated", {})
        rule = self.interpretation
        options = (recalibrated or self.training).get("options", {})
        point, calibration = rule.operating_point, rule.calibration
        # Bundles of earlier versions kept the epoch that was best on validation.
        best_epochs = bool(self.training.get("best_epochs"))
        trained = "validation" if best_epochs else _HELD
        calibrated = self.training.get("calibrated_on", "validation")
        decided = HOSPITAL if recalibrated else calibrated
        bias = calibration.bias != 0 and options.get("calibration") != "temperature"
        causes = rule.cause_calibration not in (None, Calibration())
        found: dict[str, list[str]] = {}
        for name, choice, so in (
            (trained, "the epoch", best_epochs),
            (trained, "the limit of what is refused", rule.refusal is not None),
            (trained, "the limit of what is unfamiliar", rule.unfamiliar is not None),
            (decided, "the temperature", calibration.temperature != 1),
            (decided, "the bias", bias),
            (decided, "the threshold", not point.rule.startswith("fixed")),
            (decided, "the uncertain band", point.low < point.high),
            (calibrated, "the calibration of the causes", causes),
        ):
            if so:
                found.setdefault(name, []).append(choice)
        return found


def measure(
    name: str,
    split: Split,
    outputs: Outputs,
    interpretation: Interpretation,
    options: Options,
    answers: Answers | None = None,
) -> SetResult:
    """Measure the network on one set of images, by the rule that is served.

    Refused images count in the figures all the same: how often that happens stands beside them.

    Args:
        name: Of the set.
        split: The images, N.
        outputs: What the network says of them.
        interpretation: What turns that into answers.
        options: Bootstrap draws of patients, and their seed.
        answers: Those of several rules, where these were fitted out of fold; None: of the one.
    """
    answers = answers or interpretation.answer(outputs.logits, outputs.features)
    point = interpretation.operating_point
    judged = Judged(answers, point, split.labels, split.patients, split.causes)
    told = [flags for flags in (answers.refused, answers.unfamiliar) if flags is not None]
    shares = {
        name: None
        if flags is None
        else mean_interval(flags, split.patients, options.resamples, options.seed)
        for name, flags in (
            ("refused", answers.refused),
            ("unfamiliar", answers.unfamiliar),
            ("refused or unfamiliar", np.logical_or.reduce(told) if told else None),
        )
    }
    return SetResult(name, split, outputs, judged, evaluate(judged, options), shares)


def check_heatmaps(
    result: SetResult, model: "keras.Model | None", options: Options
) -> HeatmapCheck | None:
    """Check the heatmaps of the images that are called pneumonia and are.

    Args:
        model: To shuffle the weights of; None leaves that check out.
        options: Bootstrap draws of patients, and the seed of all that is drawn.
    """
    resamples, seed = options.resamples, options.seed
    maps = result.outputs.activation_map
    right = np.flatnonzero(result.judged.answers.pneumonia & (result.split.labels == 1))
    if maps is None or not len(right):
        return None
    maps = maps[..., 0]
    shares = central_share(maps[right])
    known = ~np.isnan(shares)
    patients = [result.split.patients[i] for i in right[known]]
    central = mean_interval(shares[known], patients, resamples, seed) if patients else None
    if model is None:
        return HeatmapCheck(central, None, [], None)
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(right)[:32])
    shuffled = randomised_maps(model, result.split.images[chosen], seed)
    likeness = similarity(maps[chosen], shuffled)
    whose = [result.split.patients[i] for i in chosen]
    alike = mean_interval(likeness, whose, resamples, seed)
    return HeatmapCheck(central, alike, chosen[:_SHOWN].tolist(), shuffled[:_SHOWN])


def machine_figures(
    labels: NDArray[np.int64],
    machines: NDArray[np.bool_],
    logits: NDArray[np.floating],
    unseen: NDArray[np.floating],
) -> dict[str, Any]:
    """What networks say of the machines that stand for pneumonia, having seen no image of them.

    Args:
        labels: (N,) 0 or 1, of the training images.
        machines: (N,) whether an image is of such a machine.
        logits: (N,) of pneumonia, out of fold.
        unseen: (M,) the same of those images, by networks that saw none of the machine.

    Returns:
        `images`, how many; `found`, the share with a logit above 0; `mean_logit`; and `others`, the
        mean logit of the other pneumonias. Empty where there is no such machine.
    """
    ill = labels[machines] == 1
    others = logits[(labels == 1) & ~machines]
    if not ill.any() or not len(others):
        return {}
    return {
        "images": int(ill.sum()),
        "found": round(float((unseen[ill] > 0).mean()), 4),
        "mean_logit": round(float(unseen[ill].mean()), 3),
        "others": round(float(others.mean()), 3),
    }


def member_figures(
    member_logits: NDArray[np.floating], train: Split, options: Options
) -> list[MemberFigures]:
    """What the ensemble buys: each member and all together on the same images, out of fold.

    Args:
        member_logits: (members, N) of pneumonia.
        train: The images, N.
        options: Bootstrap draws of patients, and their seed.
    """
    if len(member_logits) < 2:
        return []

    def measured(name: str, z: NDArray[np.floating]) -> MemberFigures:
        def both(weight: Weights) -> dict[str, float]:
            accuracy = float(np.average((z >= 0) == (train.labels == 1), weights=weight))
            return {"roc_auc": area_under_roc(z, train.labels, weight), "accuracy": accuracy}

        found = intervals(both, train.patients, options.resamples, options.seed)
        return MemberFigures(name, found["roc_auc"], found["accuracy"])

    members = [measured(f"member {i + 1}", z) for i, z in enumerate(member_logits)]
    return [*members, measured("ensemble", member_logits.mean(axis=0))]
