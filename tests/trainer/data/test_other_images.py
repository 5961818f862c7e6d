"""Pictures of anything but a chest: many kinds, the same again for a seed, in time."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.phantoms import NOT_A_CHEST_XRAY, chest_phantom, not_a_chest_xray
from trainer.data.other_images import learned_from, not_chest
from trainer.data.other_images.parts import photographs


def xrays() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return np.stack([chest_phantom(rng, pneumonia=pneumonia) for pneumonia in (False, True)])


@pytest.mark.parametrize("count", [1, 7, 120])
def test_as_many_are_drawn_as_asked_for(count: int) -> None:
    pictures = not_chest(count, xrays(), np.random.default_rng(2))
    assert pictures.shape == (count, 224, 224)
    assert pictures.dtype == np.uint8


def test_pictures_are_of_many_kinds_and_repeat_for_a_seed() -> None:
    first, again = (not_chest(80, xrays(), np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) > 70
    assert np.std([picture.mean() for picture in first]) > 20


def test_whole_photographs_that_it_learns_from_are_known_again() -> None:
    greys = [cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in photographs()]
    seen = [g for g in greys if g.std() > 20][:4]
    pictures = [cv2.resize(g, (224, 224), interpolation=cv2.INTER_LINEAR) for g in seen]
    others = [not_a_chest_xray(np.random.default_rng(1), kind) for kind in NOT_A_CHEST_XRAY]
    pictures += [np.asarray(Image.fromarray(other).convert("L")) for other in others]
    expected = [True] * len(seen) + [False] * len(others)
    assert learned_from(np.stack(pictures)).tolist() == expected
