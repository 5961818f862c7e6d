"""Heatmaps: where in the image the probability comes from, and whether that can be believed."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from shared.heatmap import covered
from shared.preprocessing import INPUT_SIZE
from trainer.model.inference import run_keras
from trainer.model.onnx_export import named_outputs

if TYPE_CHECKING:
    import keras

Maps = NDArray[np.float32]
CENTRE = 0.8  # of the width and of the height


def grown(activation_map: Maps, size: int) -> Maps:
    """An activation map at the size of the image: ReLU, bilinear, maximum 1.

    Grad-CAM (Selvaraju et al., ICCV 2017, eq. 2) for a network that ends in global average
    pooling, where it is the class activation map (Zhou et al., CVPR 2016).

    Args:
        activation_map: (h, w), of the logit.
        size: Side of the image in pixels.

    Returns:
        (size, size) float32 in [0, 1]; all 0 where nothing speaks for pneumonia.
    """
    sides = [round(size / covered(cells)) for cells in reversed(activation_map.shape)]
    whole = cv2.resize(np.maximum(activation_map, 0), sides, interpolation=cv2.INTER_LINEAR)
    large = whole[:size, :size]
    peak = float(large.max())
    return np.asarray(large / peak if peak > 0 else large, np.float32)


def central_share(maps: Maps) -> NDArray[np.float64]:
    """Share of each heatmap's weight inside the central 80 % of width and height.

    Lungs lie there; letters, tubes' ends and the edges of the film do not. An even map has 0.64.

    Args:
        maps: (N, h, w).

    Returns:
        (N,) in [0, 1]; NaN where a map has no positive weight.
    """
    margin = round(INPUT_SIZE * (1 - CENTRE) / 2)
    shares = np.full(len(maps), np.nan)
    for index, one in enumerate(maps):
        heat = grown(one, INPUT_SIZE)
        total = float(heat.sum())
        if total > 0:
            shares[index] = float(heat[margin:-margin, margin:-margin].sum()) / total
    return shares


def randomised_maps(model: "keras.Model", images: NDArray[np.uint8], seed: int) -> Maps:
    """Activation maps of the same network with each layer's weights shuffled.

    The model parameter randomisation test of Adebayo et al., "Sanity Checks for Saliency Maps",
    NeurIPS 2018, section 4: a heatmap that survives it shows edges of the image, not what the
    network has learnt. The model's weights are put back.

    Args:
        model: With the output `activation_map`.
        images: (N, 224, 224) uint8.
        seed: Of the shuffling.

    Returns:
        (N, h, w) float32.
    """
    import keras

    random = np.random.default_rng(seed)
    learnt = model.get_weights()
    view = keras.Model(model.inputs[0], named_outputs(model)["activation_map"])
    try:
        model.set_weights([random.permutation(w.ravel()).reshape(w.shape) for w in learnt])
        [maps] = run_keras(view, images)
    finally:
        model.set_weights(learnt)
    return np.asarray(maps[..., 0], np.float32)


def similarity(first: Maps, second: Maps) -> NDArray[np.float64]:
    """Spearman's rank correlation of each pair of heatmaps (Adebayo et al., section 3).

    Args:
        first: (N, h, w).
        second: (N, h, w).

    Returns:
        (N,) in [-1, 1]; 0 where one of the two is flat after the ReLU.
    """
    result = np.zeros(len(first))
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        x, y = np.maximum(a, 0).ravel(), np.maximum(b, 0).ravel()
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            result[index] = float(spearmanr(x, y).statistic)
    return result
