"""The whole way: C-STORE in, the service asked, a report and a picture in the archive."""

from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage

from tests.gateway.conftest import Started
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import FakeArchive, eventually, store
from tests.gateway.radiographs import radiograph


def test_an_image_comes_back_as_report_and_picture(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    gateway = start()
    image = radiograph()
    assert store(gateway.dicom[1], image) == [0x0000]
    report, picture = archive.wait_for(2)
    assert service.asked == [image.SOPInstanceUID]
    assert report.SOPClassUID == Comprehensive3DSRStorage
    assert picture.SOPClassUID == SecondaryCaptureImageStorage
    for result in (report, picture):
        assert result.StudyInstanceUID == image.StudyInstanceUID
        assert result.SeriesInstanceUID != image.SeriesInstanceUID
        assert (result.PatientName, result.PatientID) == (image.PatientName, image.PatientID)
    eventually(lambda: not any(gateway.spool.depth().values()))
