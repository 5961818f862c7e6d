"""The one path of an image: bytes → decoding → preprocessing → one forward pass → an answer.

Every door of the service leads here: `POST /predict`, the page, the command line.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from service.inference.loaded_model import ServedModel
from service.problems import Problem, refused
from service.screening.cautions import (
    UNFAMILIAR,
    UNKNOWN_FAMILIARITY,
    Caution,
    is_reliable,
    of_headers,
)
from service.screening.heatmap_image import Drawing, Picture, draw_layer, draw_overlay, draw_picture
from service.screening.network_input import DecodingMemory, network_input
from service.screening.sent_as_text import sent_as_text
from shared.imaging.refusal import ImageRefused
from shared.interpretation import DIGITS, Interpretation
from shared.labels import BACTERIAL, NORMAL, PNEUMONIA, VIRAL
from shared.network import NetworkInvalid, Outputs

_NEVER_TEXT: Final = (b"\xff\xd8\xff", b"\x89PNG")
"""What JPEG and PNG begin with; the first bytes of other formats are the same as text."""


@dataclass(frozen=True)
class Screening:
    """The answer about one image.

    Attributes:
        label: NORMAL or PNEUMONIA, at the model's threshold.
        probability: Calibrated probability of pneumonia, in [0, 1].
        causes: BACTERIAL and VIRAL, summing to `probability`; None where the model does not tell.
        needs_review: Whether the answer is uncertain, or not reliable.
        reliable: False where the image is unlike those that the model knows, such as an adult's.
        warnings: What to be wary of.
        overlay: The heatmap, alone or over the image; None where none was asked for, or the
            model gives none.
        picture: The image as it was read; None where it was not asked for.
        model: What computed it.
    """

    label: str
    probability: float
    causes: dict[str, float] | None
    needs_review: bool
    reliable: bool
    warnings: tuple[Caution, ...]
    overlay: Picture | None
    picture: Picture | None
    model: ServedModel

    @property
    def threshold(self) -> float:
        """The probability from which on the label is PNEUMONIA."""
        return self.model.manifest.operating_point.threshold

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label; they sum to 1."""
        return {NORMAL: round(1 - self.probability, DIGITS), PNEUMONIA: self.probability}


def screen(
    model: ServedModel,
    data: bytes,
    memory: DecodingMemory,
    drawing: Drawing | None = None,
    stages: MutableMapping[str, float] | None = None,
    pictured: bool = False,
) -> Screening:
    """Screens one image. Blocks; safe to call from several threads at once.

    Args:
        model: What to compute the answer with.
        data: The file's bytes.
        memory: What decoding may take.
        drawing: What to draw of the evidence, if anything.
        stages: Receives the seconds that `decode` and `infer` took.
        pictured: Whether the image is to be given back as it was read.

    Raises:
        CancelledError: Nobody waits for the answer any more.
        Problem: The image is refused: what was received, what is accepted, and what to do. Or
            `overloaded`: there was no memory for it in time.
        NetworkInvalid: The network answered with numbers that are not finite.
    """
    stages = {} if stages is None else stages
    if not data.startswith(_NEVER_TEXT) and (what := sent_as_text(data)):
        raise Problem(
            "unsupported-format",
            f"Received {what}: your client sent the image as text: send the raw bytes.",
        )
    start = perf_counter()
    drawing = drawing if model.manifest.heatmap else None
    try:
        shown = pictured or drawing is Drawing.OVERLAY
        batch, background, flags = network_input(data, memory, shown)
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
            draw_overlay(background, activation)
            if drawing is Drawing.OVERLAY and background is not None
            else draw_layer(activation)
        )
    picture = draw_picture(background) if pictured and background is not None else None
    return _interpret(model, outputs, of_headers(flags), drawn, picture)


def _interpret(
    model: ServedModel,
    outputs: Outputs,
    cautions: tuple[Caution, ...],
    overlay: Picture | None,
    picture: Picture | None,
) -> Screening:
    """Turns one image's outputs into an answer, by what the model's manifest says of them."""
    if not np.isfinite(outputs.logits).all():
        raise NetworkInvalid("the network answered with numbers that are not finite")
    answers = Interpretation.of(model.manifest).answer(outputs.logits, outputs.features)
    if answers.refused is not None and answers.refused[0]:
        raise Problem(
            "not-a-chest-xray",
            "The picture does not look like a frontal chest X-ray. If it is one, send it upright, "
            "cropped to the film and without a frame; otherwise send a chest X-ray.",
        )
    if answers.unfamiliar is None:
        cautions = (UNKNOWN_FAMILIARITY, *cautions)
    elif answers.unfamiliar[0]:
        cautions = (UNFAMILIAR, *cautions)
    reliable = is_reliable(cautions)
    causes = None
    if answers.bacterial is not None and answers.viral is not None:
        causes = {BACTERIAL: float(answers.bacterial[0]), VIRAL: float(answers.viral[0])}
    return Screening(
        label=PNEUMONIA if answers.pneumonia[0] else NORMAL,
        probability=float(answers.probability[0]),
        causes=causes,
        needs_review=not reliable or bool(answers.uncertain[0]),
        reliable=reliable,
        warnings=(*model.caveats, *cautions),
        overlay=overlay,
        picture=picture,
        model=model,
    )
