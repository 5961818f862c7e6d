"""How a class activation map is drawn: where its cells lie on the image, and in what colours."""

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.preprocessing import INPUT_SIZE

STRENGTH: Final = 0.55
"""How much of the image the strongest evidence covers."""

_STOPS: Final = ((13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))
_POSITIONS: Final = np.linspace(0, len(_STOPS) - 1, 256)

PALETTE: Final[NDArray[np.uint8]] = np.stack(
    [np.interp(_POSITIONS, range(len(_STOPS)), channel) for channel in zip(*_STOPS, strict=True)],
    axis=1,
).astype(np.uint8)
"""(256, 3) RGB for no evidence to the strongest: from blue over red to yellow, in rising lightness,
so that the colour-blind can read it."""

_HALVINGS = 16  # a cell has so many pixels for each pixel of the stem's stride


def covered(cells: int) -> float:
    """The part of a map's side that lies over the image: the last cell may reach beyond its edge.

    Five cells of 48 pixels, for example, are 240 pixels long, and the image has 224.

    Args:
        cells: Height or width of the map, at least 1.

    Returns:
        In (0, 1].
    """
    cell = _HALVINGS * ceil(INPUT_SIZE / (_HALVINGS * cells))
    return INPUT_SIZE / (cell * cells)
