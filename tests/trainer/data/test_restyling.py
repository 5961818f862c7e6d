"""Views in another style: other machines, the same anatomy; and views that nobody should judge."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.phantoms import chest_phantom
from trainer.data.restyling import borrow_style, field_of_view, misplaced, restyled

Grey = NDArray[np.uint8]


@pytest.fixture(scope="module")
def xrays() -> Grey:
    rng = np.random.default_rng(0)
    return np.stack([chest_phantom(rng, pneumonia=bool(i % 2)) for i in range(12)])


def test_views_repeat_for_a_seed_and_differ_among_themselves(xrays: Grey) -> None:
    same = np.repeat(xrays[:1], 12, axis=0)
    draws: tuple[Callable[[np.random.Generator], Grey], ...] = (
        lambda rng: restyled(same, xrays, rng),
        lambda rng: misplaced(same, rng),
    )
    for draw in draws:
        first, again = (draw(np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(first, again)
        assert first.shape == same.shape
        assert first.dtype == np.uint8
        assert len({view.tobytes() for view in first}) > 4


def test_a_borrowed_style_brings_the_exposure_of_the_other_image(xrays: Grey) -> None:
    dark = (xrays[1] // 4).astype(np.uint8)
    views = [borrow_style(xrays[0], dark, np.random.default_rng(seed)) for seed in range(20)]
    # Sharpness, histogram or both: most have the histogram.
    apart = np.array([abs(float(view.mean()) - float(dark.mean())) for view in views])
    assert (apart < 5).mean() > 0.5
    assert (apart < 5).mean() < 1


def test_fields_of_view_show_parts_and_margins(xrays: Grey) -> None:
    rng = np.random.default_rng(4)
    views = [field_of_view(xrays[0], rng) for _ in range(60)]
    assert all(view.shape == xrays[0].shape for view in views)
    unchanged = np.mean([np.array_equal(view, xrays[0]) for view in views])
    assert 0.1 < unchanged < 0.6
