"""Fitting the rule that turns logits into answers: calibration and operating point together."""

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import PNEUMONIA_HEAD, VIRAL_HEAD, Calibration, OperatingPoint
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
) -> Interpretation:
    """Fit the calibrations and choose the operating point; nothing is refused or unfamiliar yet.

    Args:
        logits: (N, 1 or more), uncalibrated, of images that were not learned from; the column
            `chest_xray` decides nothing here and may be absent.
        heads: What the columns mean.
        images: The images, N. Causes are told where they hold both.
        options: Kind of calibration, and the rule of the threshold.
    """
    calibration, point = decide_pneumonia(
        logits[:, heads.index(PNEUMONIA_HEAD)], images.labels, options, images.patients
    )
    cause = None
    if VIRAL_HEAD in heads:
        known = images.causes >= 0
        # Without images of both causes nothing is known of the head, and nothing is said of causes.
        if len(np.unique(images.causes[known])) == 2:
            cause = fit_calibration(
                logits[known, heads.index(VIRAL_HEAD)], images.causes[known], options.calibration
            )
    return Interpretation(heads, point, calibration, cause)


def decide_pneumonia(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    options: Options,
    patients: list[str] | None = None,
    resamples: int = 200,
) -> tuple[Calibration, OperatingPoint]:
    """Fit the calibration of P(pneumonia), and choose the operating point on what it gives.

    Args:
        logits: (N,) of pneumonia, uncalibrated, of images that were not learned from.
        labels: (N,) 0 or 1, both present.
        options: Kind of calibration, and the rule of the threshold.
        patients: (N,) who the images are of; None: each its own patient.
        resamples: Bootstrap samples that steady the threshold.
    """
    share = options.prevalence or float(labels.mean())
    calibration = fit_calibration(logits, labels, options.calibration, share)
    probability = np.round(calibrated(logits, calibration), DIGITS)
    return calibration, choose_operating_point(probability, labels, options, patients, resamples)
