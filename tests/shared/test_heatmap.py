"""Where the cells of a class activation map lie."""

import keras
import pytest

from shared.heatmap import covered
from shared.preprocessing import INPUT_SIZE
from trainer.config.recipe import Recipe
from trainer.model.network import build_network


@pytest.mark.parametrize(("cells", "share"), [(14, 1), (7, 1), (5, 224 / 240), (4, 224 / 256)])
def test_the_last_cell_may_reach_beyond_the_image(cells: int, share: float) -> None:
    assert covered(cells) == share


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_cells_are_as_large_as_the_strides_of_the_network_make_them(stride: int) -> None:
    network = build_network(Recipe(stem=4, widths="4-4-4-4", depth=1, stem_stride=stride))
    cells = network.get_layer("activation_map").output.shape[1]
    pixels = 1
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D) and not layer.name.endswith("shortcut"):
            pixels *= layer.strides[0]
    pixels *= 2  # the pooling of the stem
    assert covered(cells) == pytest.approx(INPUT_SIZE / (pixels * cells))
