"""From logits to answers: the calibration and the operating point of one network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD, Calibration, Draft, OperatingPoint
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.decision.calibration import calibrated, fit_calibration
from trainer.decision.operating_point import choose_operating_point
from trainer.evaluation.metrics import Answers


@dataclass(frozen=True)
class Decision:
    """What turns the columns of `logits` into probabilities and a label.

    Attributes:
        heads: What the columns mean.
        calibration: Of P(pneumonia).
        cause_calibration: Of P(viral | pneumonia); None without that head, or causes.
        operating_point: The threshold and the uncertain band.
    """

    heads: tuple[str, ...]
    calibration: Calibration
    cause_calibration: Calibration | None
    operating_point: OperatingPoint

    @classmethod
    def of(cls, manifest: Draft) -> "Decision":
        """The decision that a bundle's manifest records."""
        return cls(
            manifest.heads,
            manifest.calibration,
            manifest.cause_calibration,
            manifest.operating_point,
        )


def decide(
    logits: NDArray[np.float32],
    heads: tuple[str, ...],
    validation: Split,
    options: Options,
    train: Split | None = None,
) -> Decision:
    """Fit the calibrations and choose the operating point, on validation images only.

    Args:
        logits: (N, len(heads)) of the validation images.
        heads: What the columns mean.
        validation: The images.
        options: Kind of calibration, and the rule of the threshold.
        train: What the network learned from, if that is known. Causes are told where it holds both;
            without calibration where validation does not.
    """
    calibration = fit_calibration(
        logits[:, heads.index(PNEUMONIA_HEAD)],
        validation.labels,
        options.calibration,
        options.prevalence or float(validation.labels.mean()),
    )
    cause = None
    if VIRAL_HEAD in heads:
        known = validation.causes >= 0
        # Without images of both causes the head has learnt nothing, and nothing is said of causes.
        if _has_both_causes(validation if train is None else train):
            cause = (
                fit_calibration(
                    logits[known, heads.index(VIRAL_HEAD)],
                    validation.causes[known],
                    options.calibration,
                )
                if _has_both_causes(validation)
                else Calibration()
            )
    point = choose_operating_point(
        calibrated(logits[:, heads.index(PNEUMONIA_HEAD)], calibration),
        validation.labels,
        options.rule,
        options.rule_out,
        options.rule_in,
        validation.patients,
        seed=options.seed,
    )
    return Decision(heads, calibration, cause, point)


def _has_both_causes(split: Split) -> bool:
    return len(np.unique(split.causes[split.causes >= 0])) == 2


def answer(logits: NDArray[np.float32], split: Split, decision: Decision) -> Answers:
    """The answers to a set of images, beside the truth.

    Args:
        logits: (N, len(decision.heads)).
        split: The images, N.
        decision: The calibrations and the operating point.
    """
    heads, point = decision.heads, decision.operating_point
    viral = None
    if VIRAL_HEAD in heads and decision.cause_calibration is not None:
        viral = calibrated(logits[:, heads.index(VIRAL_HEAD)], decision.cause_calibration)
    return Answers(
        probability=calibrated(logits[:, heads.index(PNEUMONIA_HEAD)], decision.calibration),
        labels=split.labels,
        patients=split.patients,
        threshold=point.threshold,
        low=point.low,
        high=point.high,
        viral=viral,
        causes=split.causes,
    )
