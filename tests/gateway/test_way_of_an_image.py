"""The whole way: C-STORE in, the service asked, a report and a picture in the archive."""

import threading
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

from gateway.node import Gateway
from gateway.peers import Archive
from tests.e2e.gateway.programs import free_port
from tests.gateway.conftest import Started, running, settings_with
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import FakeArchive, eventually, fake_archive, store
from tests.gateway.radiographs import radiograph


def send(gateway: Gateway, *images: Dataset) -> None:
    assert store(gateway.dicom[1], *images) == [0x0000] * len(images)


def wait_until_empty(gateway: Gateway) -> None:
    eventually(lambda: not any(gateway.spool.depth().values()))


def kept_files(gateway: Gateway) -> list[str]:
    folder = gateway.spool.incoming.parent
    return [path.name for path in folder.rglob("*.dcm")]


def test_an_image_comes_back_as_report_and_picture(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start()
    image = radiograph()
    send(gateway, image)
    report, picture = archive.wait_for(2)
    assert service.asked == [image.SOPInstanceUID]
    assert report.SOPClassUID == Comprehensive3DSRStorage
    assert picture.SOPClassUID == SecondaryCaptureImageStorage
    for result in (report, picture):
        assert result.StudyInstanceUID == image.StudyInstanceUID
        assert result.SeriesInstanceUID != image.SeriesInstanceUID
        assert (result.PatientName, result.PatientID) == (image.PatientName, image.PatientID)
    assert report.SeriesInstanceUID != picture.SeriesInstanceUID
    wait_until_empty(gateway)
    eventually(lambda: kept_files(gateway) == [])


def test_an_image_that_comes_again_is_not_screened_again(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start()
    image = radiograph()
    send(gateway, image, image)
    archive.wait_for(2)
    wait_until_empty(gateway)
    send(gateway, image)
    assert service.asked == [image.SOPInstanceUID]
    assert len(archive.stored) == 2


def test_one_image_on_several_connections_at_once_is_one_image(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start()
    image = radiograph()
    threads = [threading.Thread(target=send, args=(gateway, image)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive.wait_for(2)
    wait_until_empty(gateway)
    assert service.asked == [image.SOPInstanceUID]


def test_it_is_screened_again_with_a_new_model_where_that_is_set(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start(rescreen=True)
    image = radiograph()
    send(gateway, image)
    first = archive.wait_for(2)
    wait_until_empty(gateway)
    send(gateway, image)
    wait_until_empty(gateway)
    assert len(archive.stored) == 2, "the same model has nothing new to say"
    service.says(model={"version": "2027-01-01T000000Z-00000000", "sha256": 64 * "0"})
    send(gateway, image)
    again = archive.wait_for(4)[2:]
    assert not {one.SOPInstanceUID for one in first} & {one.SOPInstanceUID for one in again}


@pytest.mark.parametrize("slug", ["not-a-chest-xray", "dicom"])
def test_what_is_no_chest_x_ray_is_forgotten(
    start: Started, service: FakeService, archive: FakeArchive, slug: str
) -> None:
    service.refuses(422, slug)
    gateway = start()
    send(gateway, radiograph())
    eventually(lambda: len(service.asked) == 1)
    wait_until_empty(gateway)
    assert archive.stored == []
    eventually(lambda: kept_files(gateway) == [])


def test_a_refusal_is_reported_where_that_is_set(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    service.refuses(422, "not-a-chest-xray")
    gateway = start(report_refusals=True)
    send(gateway, radiograph())
    [report] = archive.wait_for(1)
    texts = [str(item.value) for item in report.iterall() if item.keyword == "TextValue"]
    assert any("not-a-chest-xray" in text for text in texts)
    wait_until_empty(gateway)


def test_an_image_that_cannot_be_read_goes_to_the_failures(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    service.refuses(422, "corrupt-image")
    gateway = start()
    image = radiograph()
    send(gateway, image)
    eventually(lambda: len(gateway.spool.failures()) == 1)
    [failed] = gateway.spool.failures()
    assert failed.image_uid == image.SOPInstanceUID
    assert failed.failure == "refused: corrupt-image"
    service.says()
    assert gateway.spool.retry(image.SOPInstanceUID) == 1
    archive.wait_for(2)


@pytest.mark.parametrize(
    ("status", "slug"), [(503, "overloaded"), (401, "key-required"), (500, "internal-error")]
)
def test_a_service_that_cannot_answer_is_asked_again(
    start: Started, service: FakeService, archive: FakeArchive, status: int, slug: str
) -> None:
    service.refuses(status, slug, Retry_After="0")
    gateway = start()
    send(gateway, radiograph())
    eventually(lambda: len(service.asked) >= 2)
    service.says()
    archive.wait_for(2)
    wait_until_empty(gateway)


def test_an_answer_that_makes_no_sense_is_asked_for_again(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    service.says(probability=3.0)
    gateway = start()
    send(gateway, radiograph())
    eventually(lambda: len(service.asked) >= 2)
    service.says()
    archive.wait_for(2)


def test_images_wait_for_an_archive_that_is_away(start: Started, settings: dict[str, Any]) -> None:
    port = free_port()
    gateway = start(archive=Archive("ARCHIVE", "127.0.0.1", port))
    send(gateway, radiograph(), radiograph())
    eventually(lambda: gateway.spool.depth()["screened"] == 2)
    with fake_archive(port=port) as archive:
        archive.wait_for(4)
        wait_until_empty(gateway)


def test_an_archive_without_space_is_tried_again(start: Started, archive: FakeArchive) -> None:
    archive.status = 0xA700
    gateway = start()
    send(gateway, radiograph())
    eventually(lambda: gateway.spool.depth()["screened"] == 1)
    archive.status = 0x0000
    archive.wait_for(2)


def test_what_the_archive_will_not_take_goes_to_the_failures(
    start: Started, archive: FakeArchive
) -> None:
    archive.status = 0xC000
    gateway = start(give_up_seconds=0.05)
    send(gateway, radiograph())
    eventually(lambda: len(gateway.spool.failures()) == 1)
    assert gateway.spool.failures()[0].failure == "the archive answered with status 0xC000"
    archive.status = 0x0000
    gateway.spool.retry()
    archive.wait_for(2)


def test_an_archive_that_knows_no_3d_reports_gets_enhanced_ones(start: Started) -> None:
    classes = (str(EnhancedSRStorage), str(SecondaryCaptureImageStorage))
    with fake_archive(classes) as archive:
        gateway = start(archive=Archive("ARCHIVE", "127.0.0.1", archive.port))
        send(gateway, radiograph())
        archive.wait_for(2)
        assert len(archive.of_class(EnhancedSRStorage)) == 1


@pytest.mark.parametrize("jpeg", [True, False])
def test_a_picture_is_a_jpeg_for_archives_that_take_that(start: Started, jpeg: bool) -> None:
    syntaxes = (ImplicitVRLittleEndian, *([JPEGBaseline8Bit] if jpeg else []))
    with fake_archive(syntaxes=syntaxes) as archive:
        gateway = start(archive=Archive("ARCHIVE", "127.0.0.1", archive.port))
        send(gateway, radiograph())
        archive.wait_for(2)
    [picture] = archive.of_class(SecondaryCaptureImageStorage)
    assert picture.PhotometricInterpretation == ("YBR_FULL_422" if jpeg else "RGB")
    assert picture.file_meta.MediaStorageSOPInstanceUID == picture.SOPInstanceUID
    assert picture.LossyImageCompression == "01"
    assert picture.pixel_array.shape == (picture.Rows, picture.Columns, 3)


def test_what_was_screened_is_delivered_by_the_next_gateway(
    settings: dict[str, Any], service: FakeService
) -> None:
    """The results were written before: the service is not asked again, the UIDs are the same."""
    port = free_port()
    changed = settings | {"archive": Archive("ARCHIVE", "127.0.0.1", port)}
    image = radiograph()
    with running(settings_with(changed)) as gateway:
        send(gateway, image)
        eventually(lambda: gateway.spool.depth()["screened"] == 1)
    with fake_archive(port=port) as archive, running(settings_with(changed)) as gateway:
        archive.wait_for(2)
        wait_until_empty(gateway)
    assert service.asked == [image.SOPInstanceUID]


def test_a_model_without_heatmap_gives_a_report_alone(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    service.says(heatmap=None)
    gateway = start()
    send(gateway, radiograph())
    archive.wait_for(1)
    wait_until_empty(gateway)
    assert [one.SOPClassUID for one in archive.stored] == [Comprehensive3DSRStorage]


def test_the_key_of_the_service_is_sent(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    send(start(service_key="s3cret"), radiograph())
    archive.wait_for(2)
    assert service.keys == ["s3cret"]
