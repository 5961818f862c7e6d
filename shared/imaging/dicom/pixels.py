"""Stored pixels of a DICOM radiograph to 8-bit grey, in the order of PS3.3, C.11.

Modality LUT or rescale, VOI LUT or window, presentation LUT shape. Each depends on a pixel's value
alone, so pydicom's functions are asked once about every value that can be stored, and the answers
are looked up: an image of 20 megapixels costs its grey copy, not several of eight bytes a pixel.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

from shared.imaging.dicom.headers import number, text, unsupported

PIXEL_KEYWORDS: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "ModalityLUTSequence",
    "VOILUTSequence",
)
"""Attributes that are looked at here."""

CLIPPED: Final = 0.0025
"""Share of the pixels at either end that becomes black or white where there is no window: marks of
lead and letters that are burnt in must not set the contrast."""

_FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_BLOCK: Final = 1 << 18  # pixels looked up at once
_BEYOND: Final = 1e30  # further out than any window
_NOISE: Final = 1e-7  # of a grey level: so that an image and its inverse are rounded alike


def refuse_other_pixels(dataset: Dataset) -> None:
    """Refuses pixels that are not grey, or of other depths than 8 to 16 bits.

    Args:
        dataset: The file's headers.

    Raises:
        ImageRefused: The detail names the attribute that decided.
    """
    if number(dataset, "SamplesPerPixel", 1) != 1:
        raise unsupported("SamplesPerPixel", "is not 1", "grey images")
    if text(dataset, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise unsupported("PhotometricInterpretation", "is no grey", "MONOCHROME1 and MONOCHROME2")
    allocated, stored = number(dataset, "BitsAllocated", 0), number(dataset, "BitsStored", 0)
    if allocated not in (8, 16):
        raise unsupported("BitsAllocated", "is not 8 or 16", "8 to 16 bits")
    if not 8 <= stored <= allocated:
        raise unsupported("BitsStored", "is outside 8 to 16 bits", "8 to 16 bits")
    if number(dataset, "HighBit", stored - 1) != stored - 1:
        raise unsupported("HighBit", "is not BitsStored less 1", "pixels in the lowest bits")
    if number(dataset, "PixelRepresentation", 0) not in (0, 1):
        raise unsupported("PixelRepresentation", "is not 0 or 1", "whole numbers")


def to_grey(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Turns stored pixels into what a viewer shows.

    Args:
        stored: (H, W) uint8 or uint16: the bits as they are stored, those beyond Bits Stored
            included.
        dataset: The file's headers, accepted by `refuse_other_pixels`.

    Returns:
        (H, W) uint8: 0 is black. Padding is black.

    Raises:
        Exception: A lookup table is damaged.
    """
    codes = np.arange(2 ** (8 * stored.itemsize))
    values = _values(codes, dataset)
    padding = _is_padding(values, dataset)
    shown = _shown(values, padding, stored, dataset)
    if _is_inverse(dataset):
        shown = 1 - shown
    levels = np.floor(np.clip(shown, 0, 1) * 255 + 0.5 + _NOISE).astype(np.uint8)
    levels[padding] = 0
    grey = np.empty(stored.shape, np.uint8)
    for rows in _blocks(stored):
        np.take(levels, stored[rows], out=grey[rows], mode="clip")
    return grey


def _values(codes: NDArray[np.int64], dataset: Dataset) -> NDArray[np.int64]:
    """What stored bits mean: without those that are unused, and with their sign.

    PS3.5, 8.1.1: the unused ones may be anything, and decoders differ in what they leave there.
    """
    bits = number(dataset, "BitsStored", 0)
    values = codes & ((1 << bits) - 1)
    if number(dataset, "PixelRepresentation", 0):
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    return values


def _is_padding(values: NDArray[np.int64], dataset: Dataset) -> NDArray[np.bool_]:
    """Which values stand for no pixel (PS3.3, C.7.5.1.1.2)."""
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(values.shape, np.bool_)
    last = dataset.get("PixelPaddingRangeLimit")
    ends = _values(np.array([first, last if isinstance(last, int) else first]), dataset)
    inside: NDArray[np.bool_] = (values >= ends.min()) & (values <= ends.max())
    return inside


def _shown(
    values: NDArray[np.int64], padding: NDArray[np.bool_], stored: NDArray[Any], dataset: Dataset
) -> NDArray[np.float64]:
    """What the modality and VOI transformations make of the values: 0 is black and 1 white."""
    _mend(dataset)
    modality = apply_modality_lut(values, dataset)
    if dataset.get("VOILUTSequence"):
        return _looked_up(modality, dataset)
    if _has_window(dataset):
        ends = (-_BEYOND, _BEYOND)
        with np.errstate(over="ignore"):  # the sigmoid, far outside
            seen = apply_windowing(np.append(modality.astype(np.float64), ends), dataset)
        return _between(seen[:-2], seen[-2], seen[-1])
    if number(dataset, "BitsStored", 0) == 8:  # made to be shown as it is, as any 8-bit image
        return _between(modality, modality.min(), modality.max())
    return _between(modality, *_contrast(modality, padding, stored))


def _mend(dataset: Dataset) -> None:
    """Takes out of the headers what pydicom's functions do not expect: empty values, for one."""
    for keyword in ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence"):
        if keyword in dataset and dataset.get(keyword) in (None, "", []):
            del dataset[keyword]
    if text(dataset, "VOILUTFunction") not in _FUNCTIONS and "VOILUTFunction" in dataset:
        del dataset["VOILUTFunction"]
    if "ModalityLUTSequence" in dataset:  # 8 or 16 bits by the standard, others are met
        entries, first, bits = dataset.ModalityLUTSequence[0].LUTDescriptor
        dataset.ModalityLUTSequence[0].LUTDescriptor = [entries, first, 8 if bits == 8 else 16]


def _has_window(dataset: Dataset) -> bool:
    """Whether the first window is one; some writers fill it with zeros."""
    first = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = dataset.get(keyword)
        try:
            first.append(float(value if isinstance(value, float | int) else value[0]))
        except (TypeError, LookupError, ValueError):
            return False
    centre, width = first
    linear = text(dataset, "VOILUTFunction") in ("", "LINEAR")
    return math.isfinite(centre) and math.isfinite(width) and (width >= 1 if linear else width > 0)


def _looked_up(modality: NDArray[Any], dataset: Dataset) -> NDArray[np.float64]:
    """Applies the first VOI LUT (PS3.3, C.11.2.1.1)."""
    lut = dataset.VOILUTSequence[0]
    entries, first, bits = (int(value) for value in lut.LUTDescriptor)
    whole = np.rint(modality).astype(np.int64)  # a rescale makes them floating-point numbers
    seen = apply_voi(np.clip(whole, first - 1, first + (entries or 65536)), dataset)
    # Some writers say 16 bits whatever the entries have.
    bits = min(bits, int(seen.max()).bit_length())
    return _between(seen, 0, 2**bits - 1)


def _contrast(
    modality: NDArray[Any], padding: NDArray[np.bool_], stored: NDArray[Any]
) -> tuple[float, float]:
    """The values that become black and white, so that few pixels lie outside.

    Counted from both ends alike, so that the inverse of an image gets the inverse contrast.
    """
    counts = np.zeros(modality.size, np.int64)
    for rows in _blocks(stored):
        counts += np.bincount(stored[rows].ravel(), minlength=modality.size)
    counts[padding] = 0
    used = np.flatnonzero(counts)
    if used.size == 0:
        return 0.0, 0.0
    used = used[np.argsort(modality[used], kind="stable")]
    few = CLIPPED * counts.sum()
    low = used[np.searchsorted(np.cumsum(counts[used]), few, side="right")]
    high = used[::-1][np.searchsorted(np.cumsum(counts[used[::-1]]), few, side="right")]
    return float(modality[low]), float(modality[high])


def _between(values: NDArray[Any], black: float, white: float) -> NDArray[np.float64]:
    """Where values lie between two; 0 where those are the same."""
    if black == white:
        return np.zeros(values.shape)
    return (values.astype(np.float64) - black) / (white - black)


def _is_inverse(dataset: Dataset) -> bool:
    """Whether high values are dark (PS3.3, C.7.6.3.1.2 and C.8.11.3.1.2)."""
    return (
        text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
        or text(dataset, "PresentationLUTShape") == "INVERSE"
    )


def _blocks(stored: NDArray[Any]) -> list[slice]:
    """Some rows at a time: numpy's own copies of an index have eight bytes a pixel."""
    step = max(1, _BLOCK // stored.shape[1])
    return [slice(top, top + step) for top in range(0, stored.shape[0], step)]
