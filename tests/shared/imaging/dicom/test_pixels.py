"""DICOM pixels become what a viewer shows, whichever way they are stored (PS3.3, C.11)."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, uid
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from shared.imaging.decode import decode, open_image
from tests.shared.imaging.pictures import PHANTOM
from tests.shared.imaging.radiographs import (
    DEEP,
    LOSSLESS,
    NATIVE,
    compressed,
    every_dicom,
    radiograph,
)

FILES = every_dicom()
WIDE = {"WindowCenter": 2048, "WindowWidth": 4096}


@pytest.mark.parametrize("kind", FILES)
def test_every_transfer_syntax_shows_the_same_picture(kind: str) -> None:
    opened = open_image(FILES[kind])
    assert (opened.format, opened.height, opened.width) == ("DICOM", *PHANTOM.shape)
    assert opened.decoded_bytes >= PHANTOM.size
    grey = opened.decode()
    assert grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - PHANTOM).mean() < 1.5
    with pytest.raises(RuntimeError):
        opened.decode()


def stored(bits: int, signed: bool) -> NDArray[Any]:
    """The phantom in so many bits, in all of their range."""
    size = 8 if bits == 8 else 16
    levels = PHANTOM.astype(np.int64) << (bits - 8) | PHANTOM >> (16 - bits)
    return (
        (levels - (1 << (bits - 1))).astype(f"i{size // 8}")
        if signed
        else levels.astype(f"u{size // 8}")
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_lossless_syntaxes_agree_to_the_last_digit(bits: int, signed: bool) -> None:
    pixels = stored(bits, signed)
    first = decode(radiograph(pixels, bits))
    assert np.abs(first.astype(int) - PHANTOM).max() <= 32, "but for the contrast"
    for syntax in LOSSLESS:
        again = decode(radiograph(pixels, bits, syntax))
        np.testing.assert_array_equal(again, first, syntax.name)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_eight_bits_may_be_stored_in_sixteen(syntax: uid.UID) -> None:
    data = radiograph(PHANTOM.astype(np.uint16), 8, syntax)
    np.testing.assert_array_equal(decode(data), PHANTOM)
    if syntax not in (*NATIVE, uid.RLELossless):  # the codec may well know of eight alone
        frame = compressed(PHANTOM, 8, syntax)
        data = radiograph(PHANTOM.astype(np.uint16), 8, syntax, frame)
        np.testing.assert_array_equal(decode(data), PHANTOM)


def test_unused_bits_are_ignored() -> None:
    overlaid = DEEP | np.uint16(0xA000)
    np.testing.assert_array_equal(decode(radiograph(overlaid)), decode(radiograph(DEEP)))
    negative = np.where(DEEP & 1, DEEP, DEEP | 0xF000).astype(np.uint16)
    np.testing.assert_array_equal(decode(radiograph(negative)), decode(radiograph(DEEP)))


@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_big_endian_bytes_may_be_stored_in_words(vr: str) -> None:
    odd = PHANTOM[:-1, :-1]
    assert odd.size % 2 == 1
    data = bytearray(odd.tobytes() + b"\0")
    if vr == "OW":
        data[::2], data[1::2] = data[1::2], data[::2]
    file = radiograph(odd, 8, uid.ExplicitVRBigEndian, PixelData=bytes(data))
    file = file.replace(b"\x7f\xe0\0\x10OB", b"\x7f\xe0\0\x10" + vr.encode())
    np.testing.assert_array_equal(decode(file), odd)


WINDOWS: dict[str, dict[str, Any]] = {
    "none": {},
    "linear": {"WindowCenter": 1500, "WindowWidth": 2000},
    "narrow": {"WindowCenter": 1500.5, "WindowWidth": 1},
    "first of several": {"WindowCenter": [1500, 9], "WindowWidth": [2000, 9]},
    "exact": {"WindowCenter": 1500, "WindowWidth": 510, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("signed", [False, True])
def test_monochrome1_is_the_inverse_to_the_last_digit(window: str, signed: bool) -> None:
    voi = WINDOWS[window]
    offset = 2048 if signed else 0
    pixels = DEEP.astype(np.int16) - offset if signed else DEEP
    inverse = (4095 - 2 * offset - pixels.astype(int)).astype(pixels.dtype)
    mirrored = dict(voi)
    if "WindowCenter" in voi:
        centre = np.atleast_1d(voi["WindowCenter"])[0] - offset
        last = 4095 - 2 * offset + (voi.get("VOILUTFunction", "LINEAR") == "LINEAR")
        mirrored["WindowCenter"] = float(last - centre)
        mirrored["WindowWidth"] = float(np.atleast_1d(voi["WindowWidth"])[0])
        voi = voi | {"WindowCenter": float(centre)} if offset else voi
    one = decode(radiograph(pixels, **voi))
    assert 0 < one.mean() < 255
    shape: dict[str, Any] = {"PresentationLUTShape": "INVERSE"}
    for attributes in ({}, shape):
        data = radiograph(
            inverse, PhotometricInterpretation="MONOCHROME1", **mirrored, **attributes
        )
        np.testing.assert_array_equal(decode(data), one)
    if not voi:
        np.testing.assert_array_equal(decode(radiograph(inverse, **shape)), one)


@pytest.mark.parametrize("window", [window for window in WINDOWS if window != "none"])
@pytest.mark.parametrize("rescale", [None, (1, -1024), (0.5, 3)])
def test_windows_are_pydicoms(window: str, rescale: tuple[float, float] | None) -> None:
    attributes = dict(WINDOWS[window])
    if rescale:
        slope, intercept = rescale
        attributes |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    data = radiograph(**attributes)
    dataset = read(data)
    seen = apply_voi_lut(apply_modality_lut(DEEP, dataset), dataset)
    low, high = apply_modality_lut(np.array([0, 4095]), dataset)
    expected = np.rint((seen - low) / (high - low) * 255)
    assert np.abs(decode(data).astype(int) - expected).max() <= 1


def table(values: NDArray[Any], first: int = 0, bits: int = 16) -> list[Dataset]:
    """A sequence of one lookup table (PS3.3, C.11.1.1 and C.11.2.1.1)."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(values) % 65536, first, bits])
    item.add_new("LUTData", "US", [int(value) for value in values])
    item.ModalityLUTType = "OD"
    return [item]


def test_a_voi_lut_is_preferred_to_a_window() -> None:
    curve = (np.linspace(0, 1, 4096) ** 2 * 65535).astype(int)
    data = radiograph(VOILUTSequence=table(curve), WindowCenter=1, WindowWidth=1)
    np.testing.assert_allclose(decode(data), curve[DEEP] / 257, atol=0.51)


def test_a_voi_lut_may_begin_anywhere_and_have_fewer_bits_than_it_says() -> None:
    data = radiograph(VOILUTSequence=table(np.arange(0, 2048), 1000, 16))
    expected = np.clip(DEEP.astype(int) - 1000, 0, 2047) / 2047 * 255
    np.testing.assert_allclose(decode(data), expected, atol=0.51)


def test_a_voi_lut_follows_a_rescale() -> None:
    data = radiograph(
        VOILUTSequence=table(np.arange(4096) * 16, -1024, 16),
        RescaleSlope=1,
        RescaleIntercept=-1024,
    )
    np.testing.assert_allclose(decode(data), DEEP / 4095 * 255, atol=0.6)


def test_a_modality_lut_comes_before_the_window() -> None:
    data = radiograph(
        ModalityLUTSequence=table(np.arange(4095, -1, -1), 0, 12),
        WindowCenter=2048,
        WindowWidth=4096,
    )
    np.testing.assert_allclose(decode(data), 255 - DEEP / 4095 * 255, atol=0.51)


def test_without_a_window_contrast_comes_from_the_pixels() -> None:
    faint = (300 + PHANTOM.astype(np.uint16) * 2).astype(np.uint16)
    full = decode(radiograph(PHANTOM.astype(np.uint16) << np.uint16(4)))
    assert (full == 0).mean() > 0
    assert (full == 255).mean() > 0
    np.testing.assert_array_equal(decode(radiograph(faint, 16)), full)
    rescaled = radiograph(faint, 16, RescaleSlope=0.25, RescaleIntercept=7)
    np.testing.assert_array_equal(decode(rescaled), full)


def test_a_burnt_in_mark_does_not_set_the_contrast() -> None:
    marked = (PHANTOM.astype(np.uint16) * 4).copy()
    marked[:5, :5] = 65535
    grey = decode(radiograph(marked, 16))
    assert np.abs(grey[8:].astype(int) - PHANTOM[8:]).mean() < 25


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": 100},
        {"WindowWidth": 100},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"VOILUTFunction": "GAMMA"},
        {"VOILUTSequence": []},
        {"ModalityLUTSequence": []},
    ],
)
def test_what_is_empty_counts_as_missing(attributes: dict[str, Any]) -> None:
    np.testing.assert_array_equal(decode(radiograph(**attributes)), decode(radiograph()))


def test_eight_bits_without_a_window_are_shown_as_they_are() -> None:
    faint = PHANTOM // 4
    np.testing.assert_array_equal(decode(radiograph(faint, 8)), faint)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_sets_no_contrast(photometric: str) -> None:
    pixels = DEEP.copy()
    pixels[:, :60] = 3000
    pixels[:, 60:70] = 3010
    rest = decode(radiograph(pixels[:, 70:], PhotometricInterpretation=photometric))
    padded = radiograph(
        pixels,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=3000,
        PixelPaddingRangeLimit=3010,
    )
    inside = (pixels[:, 70:] >= 3000) & (pixels[:, 70:] <= 3010)
    assert not inside.any(), "no pixel of the picture should look like padding"
    grey = decode(padded)
    assert not grey[:, :70].any()
    np.testing.assert_array_equal(grey[:, 70:], rest)


def test_padding_of_signed_pixels() -> None:
    pixels = DEEP.astype(np.int16)
    pixels[0] = -2000
    grey = decode(radiograph(pixels, 16, PixelPaddingValue=-2000))
    assert not grey[0].any()
    np.testing.assert_array_equal(grey[1:], decode(radiograph(pixels[1:], 16)))


def test_an_image_of_nothing_but_padding_is_black() -> None:
    assert not decode(radiograph(np.full((70, 70), 7, np.uint16), PixelPaddingValue=7)).any()
    assert not decode(radiograph(np.full((70, 70), 7, np.uint16))).any()


def test_real_radiographs_of_one_chest_look_alike(xray_data: Path) -> None:
    names = ("RG1_M1_15bit_ImplicitLE", "RG1_M2_15bit_RLE", "RG1_M1_12bit_JPEGLSLossless")
    first, *others = [decode((xray_data / "dicom" / f"{name}.dcm").read_bytes()) for name in names]
    for other in others:
        assert np.abs(first.astype(int) - other).mean() < 1.5
    lossless = decode((xray_data / "dicom" / "WG04_RG1_J2KI.dcm").read_bytes())
    assert np.abs(first.astype(int) - lossless).mean() < 1.5


def read(data: bytes) -> Dataset:
    """The file as pydicom reads it."""
    return dcmread(io.BytesIO(data))
