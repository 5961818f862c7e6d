"""Does the answer stay where only the picture changes, and not the patient?

The same X-ray as another machine would have written it: with its marks, its exposure, its
sharpness. A network that looks at lungs answers alike; how far the logit moves says how much of the
answer is the machine (counterfactual evaluation, as for text in Kaushik et al., ICLR 2020).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.interpretation import Interpretation
from trainer.bootstrap import mean_interval
from trainer.config.options import Options
from trainer.evaluation.results import Counterfactual, SetResult
from trainer.model.inference import predict

Grey = NDArray[np.uint8]

_IMAGES: Final = 300  # at most: the shift of a mean needs no more
_MARK: Final = 235  # grey level of burnt-in text


def marked(image: Grey) -> Grey:
    """A large R at the upper left and the tube's voltage at the lower right, burnt in."""
    view, (height, width) = image.copy(), image.shape
    font = cv2.FONT_HERSHEY_SIMPLEX
    large, small = height / 224, height / 224 * 0.4
    cv2.putText(view, "R", (width // 20, height // 7), font, large, _MARK, 2, cv2.LINE_AA)
    lower = (width - width // 6, height - height // 25)
    cv2.putText(view, "KV55", lower, font, small, _MARK, 1, cv2.LINE_AA)
    return view


def _exposed(exponent: float) -> Callable[[Grey], Grey]:
    curve = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return lambda image: np.asarray(cv2.LUT(image, curve), np.uint8)


def _soft(image: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


def _sharp(image: Grey) -> Grey:
    return np.asarray(cv2.addWeighted(image, 1.8, _soft(image), -0.8, 0), np.uint8)


def _framed(image: Grey) -> Grey:
    view, depth = image.copy(), len(image) // 28
    view[:depth] = view[-depth:] = view[:, :depth] = view[:, -depth:] = 0
    return view


VIEWS: Final[dict[str, Callable[[Grey], Grey]]] = {
    "marks burnt in": marked,
    "brighter": _exposed(0.75),
    "darker": _exposed(1.33),
    "softer": _soft,
    "sharper": _sharp,
    "a black frame": _framed,
    "mirrored": lambda image: np.asarray(np.fliplr(image), np.uint8),
}
"""What is done to an image of (H, W) uint8; none of it makes anyone ill or well."""


def find_counterfactuals(
    onnx: Path, result: SetResult, interpretation: Interpretation, options: Options
) -> list[Counterfactual]:
    """Answer the images of one set again in each of the views.

    Args:
        onnx: The exported network.
        result: The set, and what the network said of its images as they are.
        interpretation: What turns logits into labels.
        options: Bootstrap draws of patients, and their seed.

    Returns:
        One for each of `VIEWS`, of 300 images evenly spread over the set, or all of a smaller one.
    """
    chosen = np.arange(len(result.split))[:: -(-len(result.split) // _IMAGES) or 1]
    split = result.split.select(chosen)
    logit = result.outputs.logits[chosen, 0]
    label = result.judged.answers.pneumonia[chosen]
    found = []
    for name, view in VIEWS.items():
        outputs = predict(onnx, np.stack([view(image) for image in split.images]))
        shift = (outputs.logits[:, 0] - logit).astype(np.float64)
        changed = interpretation.answer(outputs.logits, outputs.features).pneumonia != label
        means = (
            mean_interval(values, split.patients, options.resamples, options.seed)
            for values in (shift, np.abs(shift), changed)
        )
        found.append(Counterfactual(name, *means))
    return found
