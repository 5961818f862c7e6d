"""From a file's bytes to the network's input, within the memory that all who decode share."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.problems import Problem, overloaded
from service.runtime.byte_budget import ByteBudget
from service.screening.heatmap_image import draw_background, overlay_size
from shared.imaging.decode import open_image
from shared.imaging.dicom.headers import Flag
from shared.imaging.opened_image import OpenedImage
from shared.preprocessing import preprocess
from shared.runtime.malloc import return_free_memory

_SHORTEST_SIDE: Final = 448
_LARGE: Final = 32 * 1024 * 1024
"""Bytes of decoding from which on giving free memory back is worth the milliseconds it takes."""


class NetworkInput(NamedTuple):
    """What is left of a file once its pixels are let go of.

    Attributes:
        batch: float32 of shape (1, 224, 224, 1), as `preprocess` makes it.
        background: The image at its overlay's size, in grey; None where it is not to be shown.
        flags: What the file's headers give reason to be wary of.
    """

    batch: NDArray[np.float32]
    background: Image.Image | None
    flags: tuple[Flag, ...]


class DecodingMemory:
    """What one image may take of the memory that all who decode share."""

    def __init__(
        self, budget: ByteBudget, patience: float = 3600, wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Takes nothing yet.

        Args:
            budget: What all share.
            patience: Seconds from now in which memory is waited for.
            wanted: Whether anybody still waits for the answer; asked from any thread.
        """
        self._budget = budget
        self._until = perf_counter() + patience
        self._wanted = wanted

    @contextmanager
    def share(self, image: OpenedImage) -> Iterator[None]:
        """Holds the memory that decoding takes, waiting for its turn where that is needed.

        Raises:
            CancelledError: It came too late: nobody waits for the answer any more.
            Problem: `image-too-costly`, or `overloaded`: there was none in time.
        """
        budget = self._budget
        if image.decoded_bytes > budget.total:
            raise Problem(
                "image-too-costly",
                f"Decoding this {image.format} image ({image.width} × {image.height}, "
                f"{image.mode}) takes about {image.decoded_bytes / 1e6:.0f} MB of memory; accepted "
                f"are {budget.total / 1e6:.0f} MB. Export it as an ordinary JPEG, or smaller: "
                "about 2000 pixels wide is plenty.",
            )
        if not budget.try_take(image.decoded_bytes, self._until - perf_counter()):
            raise overloaded("Other images that are decoded took all the memory for too long.")
        large = image.decoded_bytes > _LARGE
        try:
            if not self._wanted():
                raise CancelledError
            if large:  # what the workers keep for ordinary images is needed now
                return_free_memory()
            yield
        finally:
            budget.give_back(image.decoded_bytes)
            if large:
                return_free_memory()


def network_input(data: bytes, memory: DecodingMemory, shown: bool = False) -> NetworkInput:
    """The network's input, and the image at its overlay's size where it is to be shown.

    Of the pixels themselves nothing is left when the memory for them is given back. An image that
    was decoded smaller than its overlay is decoded again.

    Args:
        data: The file's bytes.
        memory: What decoding may take.
        shown: Whether the image is to be shown, alone or under a heatmap.

    Raises:
        ImageRefused: The file is no image that is accepted.
        Problem: There is no memory for it.
        CancelledError: Nobody waits for the answer any more.
    """
    image = open_image(data, _SHORTEST_SIDE)
    with memory.share(image):
        batch, size, background = _prepare(image, shown)
    if shown and background is None:
        image = open_image(data, min(size))
        with memory.share(image):
            background = draw_background(image.decode(), size)
    return NetworkInput(batch, background, image.flags)


def _prepare(
    image: OpenedImage, shown: bool
) -> tuple[NDArray[np.float32], tuple[int, int], Image.Image | None]:
    """The network's input, the overlay's size, and the image at that if it has the pixels."""
    grey = image.decode()
    width, height = image.width, image.height
    if (grey.shape[1] < grey.shape[0]) != (width < height):  # stored lying on its side
        width, height = height, width
    size = overlay_size(width, height)
    enough = grey.shape[1] >= size[0] and grey.shape[0] >= size[1]
    return preprocess(grey), size, draw_background(grey, size) if shown and enough else None
