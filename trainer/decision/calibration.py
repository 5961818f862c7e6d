"""Turn logits into probabilities that mean what they say, on images held out from training."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logit

from shared.bundle.manifest import Calibration
from trainer.config.options import Calibrations

Logits = NDArray[np.floating]


def fit_calibration(
    logits: Logits,
    labels: NDArray[np.integer],
    kind: Calibrations = "temperature+bias",
    prevalence: float = 0.0,
) -> Calibration:
    """Fit by maximum likelihood.

    Temperature scaling is Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
    section 4; with the bias it is Platt scaling. The targets are Platt's (1999, section 2.2:
    (n + 1) / (n + 2) and 1 / (n + 2)), which keeps the fit finite where the classes separate.

    Args:
        logits: (N,), of images that the network was not trained on.
        labels: (N,), 0 or 1.
        kind: "temperature+bias", "temperature", or "none" (temperature 1, bias 0).
        prevalence: Share of label 1 that the probabilities are to assume, in (0, 1): the classes
            are weighted to it (Saerens et al., Neural Computation 14, 2002, on other priors).
            "temperature" does not fit the bias but takes the log odds of the prevalence for it, as
            the logits are of a network trained on as many images of each class. 0: the share
            among `labels`, and for "temperature" bias 0.

    Returns:
        The calibration; the identity where one class is missing.
    """
    positive = int(np.sum(labels == 1))
    negative = len(labels) - positive
    if kind == "none" or not positive or not negative:
        return Calibration()
    z = np.asarray(logits, np.float64)
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    with_bias = kind == "temperature+bias"
    weight, bias = np.ones(len(z)), 0.0
    if prevalence:
        bias = float(logit(prevalence))
        share = positive / len(labels)
        weight = np.where(labels == 1, prevalence / share, (1 - prevalence) / (1 - share))

    def loss(parameters: NDArray[np.float64]) -> float:
        x = z * np.exp(-parameters[0]) + (parameters[1] if with_bias else bias)
        return float(np.mean(weight * (np.logaddexp(0, x) - target * x)))

    # |log temperature| <= 3: a factor of 20 either way is a broken network, not a calibration.
    bounds = [(-3.0, 3.0)] + [(-20.0, 20.0)] * with_bias
    found = minimize(loss, np.zeros(len(bounds)), method="L-BFGS-B", bounds=bounds).x
    return Calibration(
        temperature=float(np.exp(found[0])), bias=float(found[1]) if with_bias else bias
    )
