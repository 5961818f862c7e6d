"""How a file becomes the network's input, and what memory that takes."""

import weakref
from concurrent.futures import CancelledError

import numpy as np
import pytest
from numpy.typing import NDArray

from service.problems import Problem
from service.runtime.byte_budget import ByteBudget
from service.screening.network_input import DecodingMemory, network_input
from service.settings import Settings
from shared.imaging.decode import PillowImage, open_image
from shared.imaging.memory_estimate import BLOCK
from shared.imaging.opened_image import OpenedImage
from shared.imaging.refusal import ImageRefused
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE, encode, tilted


def test_an_image_beyond_the_whole_budget_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        network_input(PNEUMONIA_LIKE, DecodingMemory(ByteBudget(1000)))
    assert refused.value.kind.slug == "image-too-costly"


def test_a_deep_image_of_a_large_detector_fits_in_the_default_budget() -> None:
    png = encode(np.zeros((4096, 4096), np.uint16)) + bytes(BLOCK)  # as long as one of noise
    assert open_image(png).decoded_bytes <= Settings().decoded_budget


@pytest.mark.parametrize("overlaid", [False, True])
@pytest.mark.parametrize("decodings", [1, 2])
def test_pixels_are_held_within_the_budget_and_let_go_of(
    overlaid: bool, decodings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a JPEG that is decoded again, larger, for its overlay, too."""
    pixels: list[weakref.ref[NDArray[np.uint8]]] = []
    held: list[bool] = []
    kept: list[bool] = []
    decode = PillowImage.decode

    def watched(image: PillowImage) -> NDArray[np.uint8]:
        held.append(budget.taken >= image.decoded_bytes)
        grey = decode(image)
        pixels.append(weakref.ref(grey))
        return grey

    class Watched(ByteBudget):
        def give_back(self, amount: int) -> None:
            kept.extend(grey() is not None for grey in pixels)
            super().give_back(amount)

    monkeypatch.setattr(PillowImage, "decode", watched)
    budget = Watched(2**26)
    large = encode(tilted(90, 120, (1800, 2400)), "JPEG")
    network_input(large if decodings == 2 else NORMAL_LIKE, DecodingMemory(budget), overlaid)
    assert len(held) == (decodings if overlaid else 1)
    assert all(held)
    assert kept
    assert not any(kept)


def test_the_budget_is_given_back_whatever_happens() -> None:
    budget = ByteBudget(2**26)
    network_input(PNEUMONIA_LIKE, DecodingMemory(budget))
    with pytest.raises(ImageRefused):
        network_input(encode(tilted(1, 2), "JPEG")[:600], DecodingMemory(budget))
    assert budget.taken == 0


@pytest.mark.parametrize(("size", "times"), [((200, 300), 0), ((3500, 3500), 2)])
def test_a_large_image_has_free_memory_given_back(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], times: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        "service.screening.network_input.return_free_memory", lambda: calls.append(1)
    )
    network_input(encode(tilted(1, 200, size)), DecodingMemory(ByteBudget(2**26)))
    assert len(calls) == times


def test_memory_is_not_waited_for_for_ever() -> None:
    budget = ByteBudget(2**26)
    assert budget.try_take(budget.total)
    with pytest.raises(Problem) as refused:
        network_input(PNEUMONIA_LIKE, DecodingMemory(budget, patience=0.05))
    assert refused.value.kind.slug == "overloaded"
    assert "Retry-After" in refused.value.headers
    assert budget.taken == budget.total


def test_what_nobody_waits_for_any_more_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(OpenedImage, "decode")
    budget = ByteBudget(2**26)
    with pytest.raises(CancelledError):
        network_input(PNEUMONIA_LIKE, DecodingMemory(budget, wanted=lambda: False))
    assert budget.taken == 0
