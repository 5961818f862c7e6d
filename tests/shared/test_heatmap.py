"""Where the cells of a class activation map lie."""

import pytest

from shared.heatmap import covered
from trainer.config.recipe import SIZES, Recipe
from trainer.model.network import build_network


@pytest.mark.parametrize(("cells", "share"), [(14, 1), (7, 1), (5, 224 / 240), (4, 224 / 256)])
def test_the_last_cell_may_reach_beyond_the_image(cells: int, share: float) -> None:
    assert covered(cells) == share


@pytest.mark.parametrize("size", SIZES)
def test_the_cells_of_a_network_of_any_size_cover_the_image(size: int) -> None:
    network = build_network(Recipe(stem=4, widths="4-4-4-4", depth=1, sizes=str(size)))
    assert covered(network.outputs[3].shape[1]) == 1
