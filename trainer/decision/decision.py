"""Fitting the rule that turns logits into answers: calibration and operating point together."""

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD, Refusal, Unfamiliar
from shared.interpretation import DIGITS, Interpretation, calibrated
from trainer.config.options import Options
from trainer.data.dataset import Split
from trainer.decision.calibration import fit_calibration
from trainer.decision.operating_point import choose_operating_point


def decide(
    logits: NDArray[np.float32],
    heads: tuple[str, ...],
    images: Split,
    options: Options,
    refusal: Refusal | None = None,
    unfamiliar: Unfamiliar | None = None,
) -> Interpretation:
    """Fit the calibrations and choose the operating point.

    Args:
        logits: (N, 1 or more), uncalibrated, of images that were not learned from; the column
            `chest_xray` decides nothing here and may be absent.
        heads: What the columns mean.
        images: The images, N. Causes are told where they hold both.
        options: Kind of calibration, and the rule of the threshold.
        refusal: What becomes of pictures that are no chest X-rays; fitted before.
        unfamiliar: What becomes of images unlike those of the training; fitted before.
    """
    calibration = fit_calibration(
        logits[:, heads.index(PNEUMONIA_HEAD)],
        images.labels,
        options.calibration,
        options.prevalence or float(images.labels.mean()),
    )
    cause = None
    if VIRAL_HEAD in heads:
        known = images.causes >= 0
        # Without images of both causes nothing is known of the head, and nothing is said of causes.
        if len(np.unique(images.causes[known])) == 2:
            cause = fit_calibration(
                logits[known, heads.index(VIRAL_HEAD)], images.causes[known], options.calibration
            )
    point = choose_operating_point(
        np.round(calibrated(logits[:, heads.index(PNEUMONIA_HEAD)], calibration), DIGITS),
        images.labels,
        options.rule,
        options.rule_out,
        options.rule_in,
        images.patients,
        seed=options.seed,
    )
    return Interpretation(heads, point, calibration, cause, refusal, unfamiliar)
