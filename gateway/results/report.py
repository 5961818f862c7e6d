"""The structured report: a document in the image's study that says what was found."""

from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from gateway.results import codes
from gateway.results.content import measurement_report
from gateway.results.instance import NOT_JUDGED, Kind, encoded, new_instance, reference_to
from gateway.screening_client import Answer, Refusal

REPORT: Final = Kind("report", Comprehensive3DSRStorage, "SR", 9901, "Pneumonia screening: report")


def build_report(header: Dataset, said: Answer | Refusal, now: datetime) -> bytes:
    """Writes what the service said about an image as a Comprehensive 3D SR (PS3.3, A.35.13).

    Args:
        header: The image's, from `read_header`.
        said: The answer, or why there is none.
        now: When it was said, in local time.

    Returns:
        A DICOM file (PS3.10).
    """
    model = said.model_version if isinstance(said, Answer) else NOT_JUDGED
    report = new_instance(header, REPORT, model, now)
    report.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.PreliminaryFlag = "PRELIMINARY"
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(header)]
    report.update(measurement_report(header, said, model))
    return encoded(report)


def _evidence(header: Dataset) -> Dataset:
    """The image within its series and study (PS3.3, table C.17-3)."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = str(header.SeriesInstanceUID)
    series.ReferencedSOPSequence = [reference_to(header)]
    study.StudyInstanceUID = str(header.StudyInstanceUID)
    study.ReferencedSeriesSequence = [series]
    return study
