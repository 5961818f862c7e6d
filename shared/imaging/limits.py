"""How small and how large an image may be."""

from typing import Final

from shared.imaging.refusal import ImageRefused, RefusalReason

MIN_SIDE: Final = 64
"""Shortest side that is accepted, in pixels."""

MAX_PIXELS: Final = 40_000_000
"""Largest width × height that is accepted; a large X-ray detector has 10 to 20 million."""

MOST: Final = f"accepted are at most {MAX_PIXELS // 1_000_000} million"


def check_size(width: int, height: int) -> None:
    """Refuse an image of too few pixels or too many.

    Args:
        width: Pixels of a row.
        height: Rows.

    Raises:
        ImageRefused: It is outside the limits.
    """
    received = f"The image has {width} × {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(
            RefusalReason.TOO_SMALL,
            f"{received}; accepted are at least {MIN_SIDE} × {MIN_SIDE}. "
            "Send the original X-ray, not a thumbnail.",
        )
    if width * height > MAX_PIXELS:
        raise ImageRefused(
            RefusalReason.TOO_LARGE,
            f"{received} ({width * height / 1e6:.1f} million); {MOST}. "
            "Export it smaller: about 2000 pixels wide is plenty.",
        )
