"""The recipe of a training run: every knob, with its unit and the reason for its default.

The command line, the manifest of a bundle and the experiment log are all made from these fields, so
a knob is written down once. A run with the same recipe, seed and data gives the same network up to
the numeric noise of the machine.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from pydantic import field_validator
from pydantic.dataclasses import dataclass

from shared.preprocessing import INPUT_SIZE
from trainer.config.knobs import FINITE, Amount, Count, Positive, Probability, Share, knob

# Sides that the network's own resize makes out of the bundle's input, in whole pixels and cells.
SIZES = tuple(range(64, INPUT_SIZE + 1, 32))


@dataclass(frozen=True, config=FINITE)
class Recipe:
    """Everything that the fitting of one network depends on, beside the data.

    Raises:
        ValidationError: A value is outside the range in which the run makes sense.
    """

    # The network
    sizes: str = knob(
        "96-96",
        f"pixels a side, each one of {', '.join(map(str, SIZES))}; several with dashes: 160-96",
        "one network for each, published as one graph that resizes for them: two rank held-out "
        "patients better than either, and 128 pixels no better than 96",
    )
    stem: Count = knob(16, "channels", "width of the first convolution")
    widths: str = knob(
        "24-48-80-152", "channels a stage", "four stages, each at half the size of the last"
    )
    depth: Count = knob(2, "residual blocks a stage", "with two, 128 pixels are 64 M multiply-adds")
    dropout: Share = knob(0.3, "share of the pooled features", "regularises the dense heads only")

    # The schedule
    epochs: Count = knob(
        30,
        "passes over as many images as the training folder holds",
        "with 10 held-out patients are ranked worse; none is chosen afterwards",
    )
    batch_size: Count = knob(32, "images", "small enough for two cores; other sizes were not tried")
    learning_rate: Positive = knob(
        2e-3, "Adam's step at the peak", "warm-up, then a cosine to zero"
    )
    warmup: Share = knob(
        0.05, "share of all steps", "linear warm-up from zero, while the normalisation settles"
    )
    weight_decay: Amount = knob(
        0.02, "decoupled, times the learning rate", "AdamW (Loshchilov & Hutter, 2019)"
    )
    averaging: Share = knob(
        0.998,
        "decay a step",
        "the averaged weights are what is validated and shipped (Polyak & Juditsky, 1992)",
    )
    mixed_precision: bool = knob(
        True,
        "bfloat16, where the machine has instructions for it, or float32",
        "half the time a step with the fused normalisation; several times more where imitated",
    )

    # The loss
    label_smoothing: Share = knob(
        0.05, "moved to the other class", "labels have noise; keeps logits calibrated"
    )
    cause_weight: Amount = knob(
        0.3, "weight of the viral head's loss", "helps the shared features, does not rule them"
    )
    mixup: Amount = knob(
        0.2, "Beta parameter; 0 turns it off", "mixes pairs of images (Zhang et al., 2018)"
    )

    # Augmentation: everything that is style, not lungs
    rotation: Amount = knob(10.0, "degrees to either side", "children are rarely held straight")
    crop: Positive = knob(
        0.5,
        "share of the area, above 0, at most 1, which turns it off",
        "the smallest part of an image that is a view of it: no mark, border or field of view "
        "stands for the whole; with 0.35 held-out patients are ranked worse",
    )
    shear: Amount = knob(5.0, "degrees to either side", "the tube's angle")
    flip: Probability = knob(0.5, "probability", "pneumonia takes either side")
    gamma: Amount = knob(
        0.5, "natural log of the exponent, to either side", "exposure and display curves"
    )
    contrast: Amount = knob(0.3, "relative, to either side", "windowing")
    blur: Amount = knob(
        1.6, "standard deviation in pixels, at most", "sharpness gives the class away in training"
    )
    sharpen: Amount = knob(
        1.2, "amount of unsharp mask, at most", "the other end of the same scale"
    )
    noise: Amount = knob(
        0.05, "standard deviation, at most; 1 is white", "detectors, doses and scans of film"
    )
    compression: Probability = knob(
        0.25, "probability of a JPEG round trip", "quality 25 to 90, as senders do it"
    )
    equalise: Probability = knob(
        0.15, "probability of local equalisation", "some consoles do it (CLAHE; Zuiderveld, 1994)"
    )
    frame: Probability = knob(
        0.3,
        "probability of black margins or a burnt-in marker",
        "borders differ between the classes",
    )
    erasing: Probability = knob(
        0.4, "probability", "up to three boxes go blank (Zhong et al., 2020)"
    )

    @field_validator("widths")
    @classmethod
    def _four_stages(cls, text: str) -> str:
        if len(_numbers(text)) != 4 or min(_numbers(text)) < 4:
            raise ValueError("four numbers of 4 or more, such as 24-48-80-152")
        return text

    @field_validator("sizes")
    @classmethod
    def _one_size_a_member(cls, text: str) -> str:
        if not _numbers(text) or not set(_numbers(text)) <= set(SIZES):
            raise ValueError(f"one or more of {', '.join(map(str, SIZES))}, such as 160-96")
        return text

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """The channels of each stage, read from ``widths``."""
        return _numbers(self.widths)

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """The side of each member's own input, read from ``sizes``."""
        return _numbers(self.sizes)

    def members(self) -> list[Recipe]:
        """The recipe of each member: this one, with a single size."""
        return [replace(self, sizes=str(size)) for size in self.input_sizes]

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain values, for the manifest."""
        return asdict(self)


def _numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with dashes between them; none where it is anything else."""
    try:
        return tuple(int(part) for part in text.split("-"))
    except ValueError:
        return ()
