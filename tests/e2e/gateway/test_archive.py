"""From an archive to the gateway and back: what Orthanc, dcmtk and dicom3tools say of it."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateway.programs import PATIENCE, USER, Hospital, dcmtk
from tests.gateway.radiographs import radiograph, write
from tests.service.conftest import wait_until

pytestmark = pytest.mark.slow


def run(*command: str) -> str:
    ended = subprocess.run(
        [dcmtk(command[0]), *command[1:]], capture_output=True, text=True, check=False, timeout=120
    )
    return ended.stdout + ended.stderr


def test_an_echo_is_answered(place: Hospital) -> None:
    assert "Error" not in run("echoscu", "-aec", "CXRSCREEN", "127.0.0.1", str(place.port))
    assert "Rejected" in run("echoscu", "-aec", "SOMEONE", "127.0.0.1", str(place.port))


def test_an_x_ray_in_the_archive_gets_a_report_and_a_picture(
    place: Hospital, tmp_path: Path
) -> None:
    image = radiograph(PatientName="Ünal^Zoë")
    assert place.send(write(image, tmp_path / "image.dcm"), to_archive=True)
    [report], [capture] = place.wait_for("SR", 1), place.wait_for("OT", 1)
    files = [
        str(place.file(one["id"], tmp_path / f"{name}.dcm"))
        for name, one in (("report", report), ("capture", capture))
    ]
    for file in files:
        said = run("dciodvfy", file)
        assert "Error" not in said, said
        assert image.StudyInstanceUID in run("dcmdump", "+P", "StudyInstanceUID", file)
    text = run("dsrdump", "+U8", "+Pl", files[0])
    for expected in ('(233604007,SCT,"Pneumonia")', "Probability", "not a diagnosis", "Ünal^Zoë"):
        assert expected in text, text
    preview = f"{place.archive_url}/instances/{capture['id']}/preview"
    assert httpx.get(preview, auth=USER, timeout=60).headers["content-type"] == "image/png"
    place.wait_until_delivered()
    assert not list(place.spool.rglob("*.dcm"))


def test_images_stored_while_the_gateway_was_away_reach_it_later(
    place: Hospital, tmp_path: Path
) -> None:
    """More than the finished jobs that Orthanc remembers by default, and over a restart of it."""
    already = len(place.objects("SR"))
    place.gateway.kill()
    images = [write(radiograph(seed=number), tmp_path / f"{number}.dcm") for number in range(12)]
    assert place.send(*images, to_archive=True)
    failed: set[str] = set()

    def all_failed() -> bool:
        failed.update(place.jobs("Failure"))
        return len(failed) == len(images)

    wait_until(all_failed, PATIENCE)
    assert place.archive.stop() == 0
    place.archive.start()
    place.archive.wait_until_ready()
    place.gateway.start()
    place.gateway.wait_until_ready()
    place.wait_for("SR", already + len(images))
    assert len(place.objects("SR")) == already + len(images)


def test_it_stops_in_good_order(place: Hospital) -> None:
    assert place.gateway.stop() == 0
