"""Where the cells of a class activation map lie on the image."""

from math import ceil

from shared.preprocessing import INPUT_SIZE

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
