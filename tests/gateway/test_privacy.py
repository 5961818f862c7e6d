"""A marker in a patient's name and pixels: nowhere but in the archive."""

import io
import json
import logging
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from gateway.telemetry.logging import hashed, set_up_logs
from tests.gateway.conftest import Started
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import FakeArchive, eventually, store
from tests.gateway.radiographs import NAME, radiograph

PIXELS = b"PIXEL-MARKER-ZQX"


def test_no_name_uid_or_pixel_is_left_behind(
    start: Started, service: FakeService, archive: FakeArchive, tmp_path: Path
) -> None:
    log = io.StringIO()
    before = logging.getLogger().handlers, logging.getLogger().level
    set_up_logs("json", "debug", log)
    try:
        gateway = start()
        image = radiograph()
        image.PixelData = PIXELS * (image.Rows * image.Columns // 16)
        refused = radiograph()
        store(gateway.dicom[1], image)
        archive.wait_for(2)
        service.refuses(422, "not-a-chest-xray")
        store(gateway.dicom[1], refused)
        eventually(lambda: not any(gateway.spool.depth().values()))
        with urllib.request.urlopen("http://{}:{}/metrics".format(*gateway.health)) as answer:
            metrics = answer.read()
        eventually(lambda: not list(gateway.spool.incoming.parent.rglob("*.dcm")))
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before
    marks = [NAME.encode(), b"ZQX-4711", PIXELS, b"Good^Doctor", b"20230401"]
    uids = [str(uid).encode() for uid in (image.SOPInstanceUID, image.StudyInstanceUID)]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for mark in marks:
        assert not [one for one in (log.getvalue().encode(), metrics, *kept) if mark in one]
    for uid in uids:
        assert uid not in log.getvalue().encode()
        assert uid not in metrics
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert hashed(str(image.SOPInstanceUID)) in {line.get("image") for line in lines}


def test_an_error_tells_places_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    before = logging.getLogger().handlers, logging.getLogger().level
    set_up_logs("json", "info", log)
    try:
        try:
            np.zeros(3)[int("5")] = float(NAME.replace("Marker", "1"))
        except ValueError as error:
            logging.getLogger("gateway").error("image failed", exc_info=error)
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before
    line = json.loads(log.getvalue())
    assert line["error"] == "ValueError"
    assert "Patient" not in log.getvalue()
