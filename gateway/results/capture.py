"""The secondary capture: the X-ray with heatmap and legend, for viewers that show no reports."""

import io
from datetime import datetime
from functools import cache, lru_cache
from math import ceil
from textwrap import wrap
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from gateway.backoff import Unsuccessful
from gateway.results.content import plain, presence
from gateway.results.instance import Kind, encoded, new_instance, reference_to
from gateway.screening_client import Answer
from shared.heatmap import STRENGTH, coloured

CAPTURE: Final = Kind(
    "capture", SecondaryCaptureImageStorage, "OT", 9902, "Pneumonia screening: heatmap"
)
SMALLEST_WIDTH: Final = 512
"""Pixels: narrower pictures are set on black, so that the legend can be read."""

LARGEST_PIXELS: Final = 4096 * 4096
"""More than the service ever draws: a picture that has more is not decoded."""

_QUALITY: Final = 90
"""Of the JPEG: the X-ray in it has been one before, and the text must stay sharp."""

_UNUSABLE: Final = "the service's picture is unusable"
_BRIGHT, _GREY, _AMBER = (255, 255, 255), (170, 170, 170), (255, 190, 80)


def build_capture(header: Dataset, said: Answer, now: datetime) -> bytes:
    """Writes X-ray, heatmap and legend as a Secondary Capture image (PS3.3, A.8.1).

    Args:
        header: The image's, from `read_header`.
        said: The answer, with picture and heatmap.
        now: When it was said, in local time.

    Returns:
        A DICOM file (PS3.10), its pixels as JPEG Baseline.

    Raises:
        Unsuccessful: Picture or heatmap is missing, damaged or too large.
    """
    page = _draw(said, now)
    jpeg = io.BytesIO()
    page.save(jpeg, "JPEG", quality=_QUALITY, subsampling="4:2:2")
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
    capture.Columns, capture.Rows = page.size
    capture.SamplesPerPixel, capture.PlanarConfiguration = 3, 0
    capture.PhotometricInterpretation = "YBR_FULL_422"
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionMethod = "ISO_10918_1"
    capture.LossyImageCompressionRatio = round(3 * page.width * page.height / jpeg.tell(), 2)
    capture.PixelData = encapsulate([jpeg.getvalue()])
    capture["PixelData"].VR = "OB"
    capture["PixelData"].is_undefined_length = True
    capture.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return encoded(capture)


def _orientation(header: Dataset) -> list[str]:
    """Of the image's rows and columns; of a frontal X-ray as it is hung, where it says nothing."""
    value = header.get("PatientOrientation")
    if value and len(value) == 2 and all(value):
        return [str(value[0]), str(value[1])]
    return ["L", "F"]


def _draw(said: Answer, now: datetime) -> Image.Image:
    """The X-ray, over it the evidence where there is any, and below it the legend."""
    picture, layer = _decode(said.picture, "JPEG"), _decode(said.heatmap, "PNG")
    width = max(picture.width, SMALLEST_WIDTH)
    size = max(13, width // 44)
    lines = _lines(said, now)
    step = round(size * 1.45)
    page = Image.new("RGB", (width, picture.height + step * (len(lines) + 2)))
    corner = (width - picture.width) // 2, 0
    page.paste(picture, corner)
    # The layer's opacity is the strength of the evidence, and that alone decides its colour.
    heat = layer.convert("RGBA").getchannel("A").resize(picture.size, Image.Resampling.BILINEAR)
    page.paste(coloured(heat), corner, heat.point(lambda level: level * STRENGTH))

    def write(text: str, left: int, top: int, colour: tuple[int, int, int]) -> None:
        page.paste(colour, (left, top), _written(text, size))

    for row, (text, colour) in enumerate(lines):
        write(text, size, picture.height + step * row + size // 3, colour)
    top = picture.height + step * len(lines) + size // 2
    scale = _scale(min(width // 3, 320), size)
    write("weak", size, top, _GREY)
    page.paste(scale, (5 * size, top))
    write("strong evidence for pneumonia", 6 * size + scale.width, top, _GREY)
    return page


def _decode(content: bytes | None, kind: str) -> Image.Image:
    if content is None:
        raise Unsuccessful(f"{_UNUSABLE}: there is none")
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                raise Unsuccessful(f"{_UNUSABLE}: it is too large")
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError) as error:
        raise Unsuccessful(f"{_UNUSABLE}: {type(error).__name__}") from None


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


@lru_cache(maxsize=64)
def _written(text: str, size: int) -> Image.Image:
    """A line of text, white on black. Most lines are the same in every picture."""
    _, _, width, height = _font(size).getbbox(text)
    line = Image.new("L", (ceil(width), ceil(height)))
    ImageDraw.Draw(line).text((0, 0), text, 255, _font(size))
    return line


@cache
def _scale(width: int, height: int) -> Image.Image:
    """The colours of the heatmap, from weak to strong."""
    levels = np.linspace(0, 255, width).astype(np.uint8)
    return coloured(Image.fromarray(np.repeat(levels[None], height, axis=0)))
