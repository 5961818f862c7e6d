"""Grey image to network input: the one step that training and serving must take alike.

The published 224×224 copies of the training data were made from the originals by a bilinear,
anti-aliased resize that does not keep the aspect ratio. `resize` does the same, so that an
original and its copy reach the network as nearly the same pixels.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

INPUT_SIZE: Final = 224
"""Height and width of the network's input, in pixels."""


def resize(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize a grey image to the network's size; the aspect ratio is not kept.

    Args:
        grey: (H, W) uint8, any H and W of at least 1.

    Returns:
        (224, 224) uint8. A copy, also where `grey` has that size already.

    Raises:
        ValueError: `grey` is not a two-dimensional uint8 array.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise ValueError(
            f"resize takes a grey image of shape (H, W) and type uint8; "
            f"received shape {grey.shape} and type {grey.dtype}"
        )
    # Pillow's BILINEAR widens its filter with the reduction, which is the anti-aliasing.
    image = Image.fromarray(grey).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8)


def anti_aliased(size: int) -> NDArray[np.float32]:
    """The weights by which `resize` would make another size out of the network's.

    Args:
        size: Of the result, in pixels, at least 1.

    Returns:
        (224, size) float32: what each pixel of a line adds to each of the shorter or longer one.
    """
    line = Image.fromarray(np.eye(INPUT_SIZE, dtype=np.float32))
    return np.array(line.resize((size, INPUT_SIZE), Image.Resampling.BILINEAR), np.float32)


def scale(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Scale resized images to the network's range and add its channel.

    Args:
        pixels: (..., 224, 224) uint8.

    Returns:
        (..., 224, 224, 1) float32 in [0, 1].
    """
    scaled: NDArray[np.float32] = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
    return scaled[..., np.newaxis]


def preprocess(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn one decoded image into the network's input.

    Args:
        grey: (H, W) uint8, as `shared.imaging.decode.decode` returns it.

    Returns:
        (1, 224, 224, 1) float32 in [0, 1].

    Raises:
        ValueError: `grey` is not a two-dimensional uint8 array.
    """
    return scale(resize(grey))[np.newaxis]
