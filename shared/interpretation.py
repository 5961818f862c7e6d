"""The rule that turns a network's numbers into an answer: logits → probabilities, label, causes,
uncertain band, refusal, familiarity.

One rule for everybody: the service answers by it, and the trainer measures it, so that published
figures are those of the answers that callers get.
"""

from dataclasses import dataclass, field, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shared.bundle.manifest import (
    CHEST_XRAY_HEAD,
    FAMILIAR_HEAD,
    PNEUMONIA_HEAD,
    VIRAL_HEAD,
    Calibration,
    Draft,
    OperatingPoint,
    Refusal,
    Unfamiliar,
)

DIGITS: Final = 6
"""Probabilities are rounded before they are compared: what a caller sees explains the label."""

Flags = NDArray[np.bool_]
Probabilities = NDArray[np.float64]


def calibrated(logits: NDArray[np.floating], calibration: Calibration) -> Probabilities:
    """Platt scaling: sigmoid(logit / temperature + bias), without overflow.

    Returns:
        Probabilities in [0, 1], of the shape of `logits`.
    """
    scaled = np.asarray(logits, np.float64) / calibration.temperature + calibration.bias
    return np.asarray(0.5 * (1 + np.tanh(scaled / 2)))


@dataclass(frozen=True)
class Answers:
    """What is said of N images.

    Attributes:
        probability: (N,) calibrated P(pneumonia) in [0, 1], of six digits.
        pneumonia: (N,) whether the label is PNEUMONIA.
        viral_share: (N,) calibrated P(viral | pneumonia) in [0, 1]; None where the network does not
            tell causes apart.
        uncertain: (N,) whether the probability lies inside the uncertain band.
        refused: (N,) whether the image is refused as no chest X-ray; None without that head.
        unfamiliar: (N,) whether it is unlike those that the network knows; None where the network
            does not say.
    """

    probability: Probabilities
    pneumonia: Flags
    viral_share: Probabilities | None
    uncertain: Flags
    refused: Flags | None
    unfamiliar: Flags | None

    @property
    def viral(self) -> Probabilities | None:
        """(N,) P(viral) = P(pneumonia) · P(viral | pneumonia), of six digits; None without it."""
        if self.viral_share is None:
            return None
        return np.round(self.probability * self.viral_share, DIGITS)

    @property
    def bacterial(self) -> Probabilities | None:
        """(N,) the rest of P(pneumonia), of six digits; None where causes are not told apart."""
        viral = self.viral
        return None if viral is None else np.round(self.probability - viral, DIGITS)


@dataclass(frozen=True)
class Interpretation:
    """What the outputs of one network mean.

    Attributes:
        heads: What the columns of `logits` are.
        operating_point: The threshold and the uncertain band.
        calibration: Of P(pneumonia).
        cause_calibration: Of P(viral | pneumonia); None without that head, or where it never saw a
            known cause.
        refusal: When an image is refused as no chest X-ray; None: never.
        unfamiliar: When an image is unlike those of the training; None: nobody knows.
    """

    heads: tuple[str, ...]
    operating_point: OperatingPoint
    calibration: Calibration = field(default_factory=Calibration)
    cause_calibration: Calibration | None = None
    refusal: Refusal | None = None
    unfamiliar: Unfamiliar | None = None

    @classmethod
    def of(cls, manifest: Draft) -> Self:
        """The rule that a bundle's manifest records."""
        return cls(**{part.name: getattr(manifest, part.name) for part in fields(cls)})

    def answer(
        self, logits: NDArray[np.float32], features: NDArray[np.float32] | None = None
    ) -> Answers:
        """What is said of images.

        Args:
            logits: (N, len(heads)) float32, finite.
            features: (N, F) float32, whitened; None where the network has none.
        """
        point = self.operating_point
        pneumonia = calibrated(self._column(logits, PNEUMONIA_HEAD), self.calibration)
        probability = np.round(pneumonia, DIGITS)
        viral_share = None
        if VIRAL_HEAD in self.heads and self.cause_calibration is not None:
            viral_share = calibrated(self._column(logits, VIRAL_HEAD), self.cause_calibration)
        return Answers(
            probability=probability,
            pneumonia=probability >= point.threshold,
            viral_share=viral_share,
            uncertain=(probability >= point.low) & (probability < point.high),
            refused=self._refused(logits),
            unfamiliar=self._unfamiliar(logits, features),
        )

    def _column(self, logits: NDArray[np.float32], head: str) -> NDArray[np.float32]:
        return logits[:, self.heads.index(head)]

    def _refused(self, logits: NDArray[np.float32]) -> Flags | None:
        if self.refusal is None or CHEST_XRAY_HEAD not in self.heads:
            return None
        return np.asarray(self._column(logits, CHEST_XRAY_HEAD) < self.refusal.minimum)

    def _unfamiliar(
        self, logits: NDArray[np.float32], features: NDArray[np.float32] | None
    ) -> Flags | None:
        """Whether an image is stranger than nearly all of those that the network knows.

        Strange is what lies far out among the whitened features: a Mahalanobis distance (Lee et
        al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018,
        section 2), as root mean square over the features. Where the network has learned from X-rays
        that it must not judge, what resembles those is strange too (outlier exposure: Hendrycks et
        al., ICLR 2019).
        """
        rule = self.unfamiliar
        if rule is None or features is None:
            return None
        strangeness = np.sqrt(np.mean(np.square(features), axis=1))
        if rule.weight:
            strangeness = strangeness - rule.weight * self._column(logits, FAMILIAR_HEAD)
        return np.asarray(strangeness > rule.maximum)
