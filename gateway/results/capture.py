"""The secondary capture: the X-ray with heatmap and legend, for viewers that show no reports."""

import io
from datetime import datetime
from functools import cache
from textwrap import wrap
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from gateway.results.content import plain, presence
from gateway.results.instance import Kind, encoded, new_instance, reference_to
from gateway.screening_client import Answer

CAPTURE: Final = Kind(
    "capture", SecondaryCaptureImageStorage, "OT", 9902, "Pneumonia screening: heatmap"
)
SMALLEST_WIDTH: Final = 512
"""Pixels: narrower pictures are set on black, so that the legend can be read."""

LARGEST_PIXELS: Final = 4096 * 4096
"""More than the service ever draws: a picture that has more is not decoded."""

_STRENGTH: Final = 0.55
"""How much of the X-ray the strongest evidence covers."""

_BRIGHT, _GREY, _AMBER = (255, 255, 255), (170, 170, 170), (255, 190, 80)
# The service's palette of evidence, from weak to strong.
_STOPS: Final = ((13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))


class PictureUnusable(Exception):
    """What the service drew is no picture that can be shown."""


def build_capture(header: Dataset, said: Answer, now: datetime) -> bytes:
    """Writes X-ray, heatmap and legend as a Secondary Capture image (PS3.3, A.8.1).

    Args:
        header: The image's, from `read_header`.
        said: The answer, with picture and heatmap.
        now: When it was said, in local time.

    Returns:
        A DICOM file (PS3.10) of 8 bit RGB.

    Raises:
        PictureUnusable: Picture or heatmap is missing, damaged or too large.
    """
    pixels = _draw(said, now)
    capture = new_instance(header, CAPTURE, said.model_version, now)
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.DerivationDescription = "Heatmap of the evidence for pneumonia, and a legend"
    capture.SourceImageSequence = [reference_to(header)]
    capture.PatientOrientation = _orientation(header)
    capture.Laterality = None
    # What is burnt into the image shows in the picture, too.
    if header.get("BurnedInAnnotation") in {"YES", "NO"}:
        capture.BurnedInAnnotation = header.BurnedInAnnotation
    capture.Rows, capture.Columns, capture.SamplesPerPixel = pixels.shape
    capture.PhotometricInterpretation, capture.PlanarConfiguration = "RGB", 0
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    content = pixels.tobytes()
    capture.PixelData = content + b"\0" * (len(content) % 2)
    capture["PixelData"].VR = "OW"
    return encoded(capture)


def _orientation(header: Dataset) -> list[str]:
    """Of the image's rows and columns; of a frontal X-ray as it is hung, where it says nothing."""
    value = header.get("PatientOrientation")
    if value and len(value) == 2 and all(value):
        return [str(value[0]), str(value[1])]
    return ["L", "F"]


def _draw(said: Answer, now: datetime) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the picture and, below it, the legend."""
    picture = _overlay(said)
    width = max(picture.width, SMALLEST_WIDTH)
    size = max(13, width // 44)
    lines = _lines(said, now)
    step = round(size * 1.45)
    band = step * (len(lines) + 2)
    page = Image.new("RGB", (width, picture.height + band))
    page.paste(picture, ((width - picture.width) // 2, 0))
    draw, left = ImageDraw.Draw(page), size
    for row, (text, colour) in enumerate(lines):
        draw.text((left, picture.height + step * row + size // 3), text, colour, _font(size))
    top = picture.height + step * len(lines) + size // 2
    scale = _scale(min(width // 3, 320), size)
    draw.text((left, top), "weak", _GREY, _font(size))
    page.paste(scale, (left + 4 * size, top))
    draw.text(
        (left + 5 * size + scale.width, top), "strong evidence for pneumonia", _GREY, _font(size)
    )
    return np.asarray(page)


def _overlay(said: Answer) -> Image.Image:
    """The X-ray with the heatmap over it; where nothing speaks for pneumonia, the X-ray itself."""
    picture = _decode(said.picture, "JPEG").convert("RGB")
    layer = _decode(said.heatmap, "PNG").convert("RGBA")
    layer = layer.resize(picture.size, Image.Resampling.BICUBIC)
    strength = layer.getchannel("A").point(lambda level: level * _STRENGTH)
    picture.paste(layer.convert("RGB"), mask=strength)
    return picture


def _decode(content: bytes | None, kind: str) -> Image.Image:
    if content is None:
        raise PictureUnusable("there is none")
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                raise PictureUnusable("it is too large")
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureUnusable(type(error).__name__) from None


def _lines(said: Answer, now: datetime) -> list[tuple[str, tuple[int, int, int]]]:
    """The legend's lines, and their colours."""
    lines = [
        ("SECOND OPINION, NOT A DIAGNOSIS. A clinician decides.", _AMBER),
        (
            f"Pneumonia: {presence(said).lower()}. Probability {said.probability:.3f}, "
            f"threshold {said.threshold:.3f}",
            _BRIGHT,
        ),
    ]
    if not said.reliable:
        lines.append(("NOT RELIABLE: not the kind of image the model was made for", _AMBER))
    elif said.needs_review:
        lines.append(("Uncertain: have a person look", _AMBER))
    for _, message in said.warnings[:3]:
        lines += [(text, _GREY) for text in wrap(f"! {plain(message)}", 80, max_lines=2)]
    lines.append((f"Model {plain(said.model_version)[:48]}, {now:%Y-%m-%d %H:%M:%S}", _GREY))
    return lines


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@cache
def _scale(width: int, height: int) -> Image.Image:
    """The colours of the heatmap, from weak to strong."""
    positions = np.linspace(0, len(_STOPS) - 1, width)
    channels = [np.interp(positions, range(len(_STOPS)), one) for one in zip(*_STOPS, strict=True)]
    row = np.stack(channels, axis=1).astype(np.uint8)
    return Image.fromarray(np.repeat(row[None], height, axis=0))
