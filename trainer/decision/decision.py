"""Fitting the rule that turns logits into answers: calibration and operating point together."""

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import (
    PNEUMONIA_HEAD,
    VIRAL_HEAD,
    Calibration,
    Refusal,
    Unfamiliar,
)
from shared.interpretation import DIGITS, Interpretation, calibrated
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.decision.calibration import fit_calibration
from trainer.decision.operating_point import choose_operating_point


def decide(
    logits: NDArray[np.float32],
    heads: tuple[str, ...],
    validation: Split,
    options: Options,
    train: Split | None = None,
    refusal: Refusal | None = None,
    unfamiliar: Unfamiliar | None = None,
) -> Interpretation:
    """Fit the calibrations and choose the operating point, on validation images only.

    Args:
        logits: (N, len(heads)) of the validation images.
        heads: What the columns mean.
        validation: The images.
        options: Kind of calibration, and the rule of the threshold.
        train: What the network learned from, if that is known. Causes are told where it holds both;
            without calibration where validation does not.
        refusal: What becomes of pictures that are no chest X-rays; fitted before.
        unfamiliar: What becomes of images unlike those of the training; fitted before.
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
        np.round(calibrated(logits[:, heads.index(PNEUMONIA_HEAD)], calibration), DIGITS),
        validation.labels,
        options.rule,
        options.rule_out,
        options.rule_in,
        validation.patients,
        seed=options.seed,
    )
    return Interpretation(heads, point, calibration, cause, refusal, unfamiliar)


def _has_both_causes(split: Split) -> bool:
    return len(np.unique(split.causes[split.causes >= 0])) == 2
