"""The heatmap over the image."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.screening.heatmap_image import (
    LAYER_SIDE,
    draw_background,
    draw_layer,
    draw_overlay,
    overlay_size,
)
from shared.heatmap import PALETTE, STRENGTH


def drawn(activation: NDArray[Any], grey: int = 100) -> NDArray[np.int_]:
    image = np.full((80, 60), grey, np.uint8)
    overlay = draw_overlay(draw_background(image, (60, 80)), activation.astype(np.float32))
    return np.asarray(Image.open(io.BytesIO(overlay.data))).astype(int)


def test_colour_lies_where_the_evidence_is() -> None:
    activation = np.zeros((7, 7))
    activation[1, 5] = 3.0
    picture = drawn(activation)
    colour = picture.max(axis=2) - picture.min(axis=2)
    row, column = np.unravel_index(colour.argmax(), colour.shape)
    assert row == pytest.approx(80 * 1.5 / 7, abs=8)
    assert column == pytest.approx(60 * 5.5 / 7, abs=6)


def test_a_cell_that_reaches_beyond_the_image_is_cut() -> None:
    activation = np.zeros((5, 5))  # cells of 48 pixels, of an image of 224
    activation[2, 3] = 3.0
    picture = drawn(activation)
    colour = picture.max(axis=2) - picture.min(axis=2)
    row, column = np.unravel_index(colour.argmax(), colour.shape)
    assert row == pytest.approx(80 * 2.5 * 48 / 224, abs=2)
    assert column == pytest.approx(60 * 3.5 * 48 / 224, abs=2)


def test_without_evidence_the_image_stays_grey() -> None:
    assert (drawn(np.full((7, 7), -2.0)) == 100).all()


def test_negative_evidence_is_cut_away() -> None:
    activation = np.zeros((7, 7))
    activation[6, 6] = 1.0
    with_negative = activation.copy()
    with_negative[:3, :3] = -50.0
    assert (drawn(activation) == drawn(with_negative)).all()


def test_the_layer_is_transparent_but_where_the_evidence_is() -> None:
    activation = np.full((7, 7), -1.0, np.float32)
    activation[1, 5] = 3.0
    layer = np.asarray(Image.open(io.BytesIO(draw_layer(activation).data)).convert("RGBA"))
    assert layer.shape == (LAYER_SIDE, LAYER_SIDE, 4)
    row, column = np.unravel_index(layer[..., 3].argmax(), layer.shape[:2])
    assert abs(row - LAYER_SIDE * 1.5 / 7) < 18
    assert abs(column - LAYER_SIDE * 5.5 / 7) < 18
    assert layer[..., 3].max() > 240
    assert (layer[LAYER_SIDE // 2 :, :, 3] == 0).all()


@pytest.mark.parametrize(
    ("own", "drawn_at"),
    [((640, 480), (640, 480)), ((2048, 1024), (1024, 512)), ((100, 40_000), (3, 1024))],
)
def test_an_overlay_has_its_images_size_up_to_a_limit(
    own: tuple[int, int], drawn_at: tuple[int, int]
) -> None:
    assert overlay_size(*own) == drawn_at


def test_the_strongest_evidence_has_the_last_colour_of_the_palette() -> None:
    picture = drawn(np.ones((7, 7)))
    strongest = (1 - STRENGTH) * 100 + STRENGTH * PALETTE[255]
    np.testing.assert_allclose(picture[30, 30], strongest, atol=2)
