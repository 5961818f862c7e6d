"""The one path of an image: bytes → decoding → preprocessing → one forward pass → an answer.

Every door of the service leads here: `POST /predict`, the batch, the page, the command line.
"""

import math
from collections.abc import MutableMapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.inference.loaded_model import ServedModel
from service.inference.onnx_network import NetworkInvalid, Outputs
from service.problems import NOT_A_CHEST_XRAY, Problem, refused
from service.screening.heatmap_image import Drawing, Overlay, draw_layer, draw_overlay
from service.screening.network_input import DecodingMemory, network_input
from shared.bundle.manifest import (
    CHEST_XRAY_HEAD,
    PNEUMONIA_HEAD,
    VIRAL_HEAD,
    Calibration,
    Manifest,
)
from shared.imaging.decode import ImageRefused
from shared.labels import BACTERIAL, NORMAL, PNEUMONIA, VIRAL

UNFAMILIAR: Final = (
    "unfamiliar_image",
    "The image differs from those that the model learned from: the answer is less reliable than "
    "usual. Have a person look at it.",
)
_DIGITS: Final = 6
"""Probabilities are rounded before they are compared: what a caller sees explains the label."""


@dataclass(frozen=True)
class Screening:
    """The answer about one image.

    Attributes:
        label: NORMAL or PNEUMONIA, at the model's threshold.
        probability: Calibrated probability of pneumonia, in [0, 1].
        causes: BACTERIAL and VIRAL, summing to `probability`; None where the model does not tell.
        needs_review: Whether the answer is uncertain, or the image unfamiliar.
        warnings: Pairs of a stable code and a sentence.
        overlay: The heatmap, alone or over the image; None where none was asked for, or the
            model gives none.
        model: What computed it.
    """

    label: str
    probability: float
    causes: dict[str, float] | None
    needs_review: bool
    warnings: tuple[tuple[str, str], ...]
    overlay: Overlay | None
    model: ServedModel

    @property
    def threshold(self) -> float:
        """The probability from which on the label is PNEUMONIA."""
        return self.model.manifest.operating_point.threshold

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label; they sum to 1."""
        return {NORMAL: round(1 - self.probability, _DIGITS), PNEUMONIA: self.probability}


def screen(
    model: ServedModel,
    data: bytes,
    memory: DecodingMemory,
    drawing: Drawing | None = None,
    stages: MutableMapping[str, float] | None = None,
) -> Screening:
    """Screens one image. Blocks; safe to call from several threads at once.

    Args:
        model: What to compute the answer with.
        data: The file's bytes.
        memory: What decoding may take.
        drawing: What to draw of the evidence, if anything.
        stages: Receives the seconds that `decode` and `infer` took.

    Raises:
        CancelledError: Nobody waits for the answer any more.
        Problem: The image is refused: what was received, what is accepted, and what to do. Or
            `overloaded`: there was no memory for it in time.
        NetworkInvalid: The network answered with numbers that are not finite.
    """
    stages = {} if stages is None else stages
    start = perf_counter()
    drawing = drawing if model.manifest.heatmap else None
    try:
        batch, background = network_input(data, memory, drawing is Drawing.OVERLAY)
    except ImageRefused as refusal:
        raise refused(refusal) from None
    finally:
        stages["decode"] = perf_counter() - start
    start = perf_counter()
    outputs = model.network(batch)
    stages["infer"] = perf_counter() - start
    drawn = None
    if drawing and outputs.activation_map is not None:
        activation = outputs.activation_map[0, ..., 0]
        drawn = (
            draw_layer(activation) if background is None else draw_overlay(background, activation)
        )
    return _interpret(model, outputs, drawn)


def _interpret(model: ServedModel, outputs: Outputs, overlay: Overlay | None) -> Screening:
    """Turns one image's outputs into an answer, by what the model's manifest says of them."""
    manifest = model.manifest
    if not np.isfinite(outputs.logits).all():
        raise NetworkInvalid("the network answered with numbers that are not finite")
    logits: dict[str, float] = dict(
        zip(manifest.heads, (float(logit) for logit in outputs.logits[0]), strict=True)
    )
    _refuse_other_pictures(manifest, logits)
    probability = round(_calibrated(logits[PNEUMONIA_HEAD], manifest.calibration), _DIGITS)
    point = manifest.operating_point
    unfamiliar = _is_unfamiliar(manifest, outputs.features)
    return Screening(
        label=PNEUMONIA if probability >= point.threshold else NORMAL,
        probability=probability,
        causes=_causes(manifest, logits, probability),
        needs_review=unfamiliar or point.low <= probability < point.high,
        warnings=(*model.caveats, *((UNFAMILIAR,) if unfamiliar else ())),
        overlay=overlay,
        model=model,
    )


def _refuse_other_pictures(manifest: Manifest, logits: dict[str, float]) -> None:
    if manifest.refusal is not None and logits[CHEST_XRAY_HEAD] < manifest.refusal.minimum:
        raise Problem(
            NOT_A_CHEST_XRAY,
            "The picture does not look like a frontal chest X-ray. If it is one, send it upright, "
            "cropped to the film and without a frame; otherwise send a chest X-ray.",
        )


def _is_unfamiliar(manifest: Manifest, features: NDArray[np.float32] | None) -> bool:
    """Whether the whitened features lie further out than nearly all of the training images'.

    A Mahalanobis distance (Lee et al., "A Simple Unified Framework for Detecting
    Out-of-Distribution Samples", NeurIPS 2018, section 2), as root mean square over the features.
    """
    if manifest.unfamiliar is None or features is None:
        return False
    return float(np.sqrt(np.mean(np.square(features[0])))) > manifest.unfamiliar.maximum


def _causes(
    manifest: Manifest, logits: dict[str, float], probability: float
) -> dict[str, float] | None:
    """Splits P(pneumonia) by cause: P(viral) = P(pneumonia) · P(viral | pneumonia)."""
    calibration = manifest.cause_calibration
    if VIRAL_HEAD not in logits or calibration is None:  # a head that never saw a known cause
        return None
    viral = round(probability * _calibrated(logits[VIRAL_HEAD], calibration), _DIGITS)
    return {BACTERIAL: round(probability - viral, _DIGITS), VIRAL: viral}


def _calibrated(logit: float, calibration: Calibration) -> float:
    """Platt scaling: sigmoid(logit / temperature + bias), without overflow."""
    scaled = logit / calibration.temperature + calibration.bias
    return 0.5 * (1 + math.tanh(scaled / 2))
