"""Style of an X-ray: what differs by device and handling and says nothing about the lungs."""

import cv2
import numpy as np
from numpy.typing import NDArray

STATISTICS = (
    "sharpness",  # mean absolute difference from a Gaussian blur of 2 px, in grey levels
    "noise",  # the same from a blur of 0.7 px: the finest grain
    "mean",
    "contrast",  # standard deviation of the grey levels
    "skewness",
    "dark",  # share of near-black pixels (below 10)
    "bright",  # share of near-white pixels (above 245)
    "border",  # mean of the outer 5 % frame, less the mean of the image
    "p01",
    "p99",
)


def style_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure each image's style.

    Args:
        images: (N, H, W) uint8.

    Returns:
        (N, 10) float64, the columns named by `STATISTICS`; grey levels (0-255) or shares (0-1).
    """
    rows = np.empty((len(images), len(STATISTICS)))
    margin = max(1, images.shape[1] // 20) if len(images) else 1
    for row, image in zip(rows, images, strict=True):
        grey = image.astype(np.float32)
        mean, spread = float(grey.mean()), float(grey.std())
        inner = grey[margin:-margin, margin:-margin]
        frame = (grey.sum() - inner.sum()) / (grey.size - inner.size)
        row[:] = (
            np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2.0)).mean(),
            np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 0.7)).mean(),
            mean,
            spread,
            (((grey - mean) / max(spread, 1e-6)) ** 3).mean(),
            (image < 10).mean(),
            (image > 245).mean(),
            frame - mean,
            *np.percentile(image, (1, 99)),
        )
    return rows
