"""The step that training and serving must take alike."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.preprocessing import INPUT_SIZE, preprocess, resize, scale
from tests.phantoms import chest_phantom

SQUARE = (INPUT_SIZE, INPUT_SIZE)


@pytest.mark.parametrize("size", [(1, 1), (64, 2000), (224, 224), (1000, 700)])
def test_any_size_becomes_the_networks(size: tuple[int, int]) -> None:
    resized = resize(np.full(size, 77, np.uint8))
    assert resized.shape == SQUARE
    assert resized.dtype == np.uint8
    assert (resized == 77).all()


def test_the_networks_own_size_is_left_alone() -> None:
    grey = chest_phantom(np.random.default_rng(1), pneumonia=False)
    resized = resize(grey)
    np.testing.assert_array_equal(resized, grey)
    assert not np.shares_memory(resized, grey)


def test_fine_detail_is_averaged_not_sampled() -> None:
    stripes = np.zeros((896, 896), np.uint8)
    stripes[:, ::2] = 200
    inner = resize(stripes)[:, 1:-1].astype(int)
    assert np.abs(inner - 100).max() <= 1


def test_the_resize_is_bilinear_with_anti_aliasing() -> None:
    grey = chest_phantom(np.random.default_rng(2), pneumonia=True, size=(600, 800))
    expected = Image.fromarray(grey).resize(SQUARE, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(grey), np.asarray(expected))


def test_scale_spans_zero_to_one() -> None:
    batch = np.zeros((3, *SQUARE), np.uint8)
    batch[1], batch[2] = 51, 255
    scaled = scale(batch)
    assert scaled.shape == (3, *SQUARE, 1)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[:, 0, 0, 0], [0, 0.2, 1], rtol=1e-6)
    assert scaled.max() <= 1


def test_preprocess_is_both_steps() -> None:
    grey = chest_phantom(np.random.default_rng(3), pneumonia=False, size=(300, 400))
    tensor = preprocess(grey)
    assert tensor.shape == (1, *SQUARE, 1)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor[0], scale(resize(grey)))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.float32), np.zeros(9, np.uint8)],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_anything_but_a_grey_image_is_refused(wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"\(H, W\) and type uint8; received"):
        resize(wrong)
