"""What a study tells of a network: how it ranks images that it did not learn from."""

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Split

FALSE_ALARMS = 0.1
FIGURES = {
    "roc_auc": "chance that a pneumonia gets a higher logit than a normal image",
    "partial_auc": f"the same up to a false-alarm rate of {FALSE_ALARMS:g}, scaled so that chance "
    "is 0.5 and the best 1",
    "sensitivity": f"share of the pneumonias found at a specificity of {1 - FALSE_ALARMS:g}",
    "log_loss": "of the uncalibrated probabilities, in nats, both classes weighed alike",
    "cause_auc": "chance that a viral pneumonia gets a higher viral logit than a bacterial one",
    "machine_sensitivity": "share with a logit above 0 of the pneumonias of machines that stand "
    "for the illness",
    "machine_logit": "their mean logit",
    "other_logit": "mean logit of the other pneumonias",
}


def measure_cell(
    logits: NDArray[np.floating], images: Split, machines: NDArray[np.bool_]
) -> dict[str, float]:
    """The figures of one cell, by the names of `FIGURES`; those that are not defined are absent.

    Args:
        logits: (N, 2): pneumonia, viral given pneumonia; uncalibrated.
        images: The images, N, of both classes.
        machines: (N,) whether an image is of a machine that stands for a class.
    """
    from sklearn.metrics import roc_auc_score, roc_curve  # late: a table needs the names alone

    from trainer.evaluation.results import machine_figures

    z, labels = np.asarray(logits[:, 0], np.float64), images.labels
    alarms, found, _ = roc_curve(labels, z, drop_intermediate=False)
    losses = np.logaddexp(0, np.where(labels == 1, -z, z))
    figures = {
        "roc_auc": roc_auc_score(labels, z),
        # McClish, Medical Decision Making 9, 1989.
        "partial_auc": roc_auc_score(labels, z, max_fpr=FALSE_ALARMS),
        "sensitivity": found[alarms <= FALSE_ALARMS].max(),
        "log_loss": (losses[labels == 1].mean() + losses[labels == 0].mean()) / 2,
    }
    known = images.causes >= 0
    if len(np.unique(images.causes[known])) == 2:
        figures["cause_auc"] = roc_auc_score(images.causes[known], logits[known, 1])
    if machine := machine_figures(labels, machines, z, z[machines]):
        figures["machine_sensitivity"] = machine["found"]
        figures["machine_logit"] = machine["mean_logit"]
        figures["other_logit"] = machine["others"]
    return {name: round(float(value), 6) for name, value in figures.items()}
