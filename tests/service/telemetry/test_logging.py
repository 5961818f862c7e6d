"""What may not reach the log, at any level."""

import io
import logging

import pytest
from PIL import Image

from service.telemetry.logging import set_up_logs
from shared.imaging.decode import decode
from tests.service.tiny_bundle import tilted

NAME = "Jane-Doe-1962"
DESCRIPTION = 0x010E  # TIFF 6.0, section 8: ImageDescription; EXIF has the same


def described(file_format: str) -> bytes:
    """An X-ray with a patient's name among its metadata."""
    tags = Image.Exif()
    tags[DESCRIPTION] = NAME
    buffer = io.BytesIO()
    Image.fromarray(tilted(60, 180)).save(buffer, file_format, exif=tags)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_an_images_metadata_is_not_logged_at_level_debug(
    file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = described(file_format)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    stream = io.StringIO()
    set_up_logs("json", "debug", stream)
    logging.getLogger("service").debug("listening")
    decode(image)
    assert "listening" in stream.getvalue()
    assert NAME not in stream.getvalue()
