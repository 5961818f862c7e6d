"""The structured report (TID 1500): the finding, its probability, and what found it."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ContentItem,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage

from gateway.results import codes as own
from gateway.results.identity import DEVICE_UID, MANUFACTURER, PRODUCT, derived_uid
from gateway.results.instance import NOT_JUDGED, Kind, encoded, new_instance, reference_to
from gateway.screening_client import Answer, Refusal

ALGORITHM: Final = "Chest X-ray screening for pneumonia"
DISCLAIMER: Final = "Second opinion by a computer, not a diagnosis. A clinician decides."
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
    report.CodingSchemeIdentificationSequence = [own.private_scheme()]
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.PreliminaryFlag = "PRELIMINARY"
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(header)]
    report.update(_content(header, said, model)[0])
    return encoded(report)


def _evidence(header: Dataset) -> Dataset:
    """The image within its series and study (PS3.3, table C.17-3)."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = str(header.SeriesInstanceUID)
    series.ReferencedSOPSequence = [reference_to(header)]
    study.StudyInstanceUID = str(header.StudyInstanceUID)
    study.ReferencedSeriesSequence = [series]
    return study


def _content(header: Dataset, said: Answer | Refusal, model: str) -> MeasurementReport:
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid(str(header.SOPInstanceUID), model, "finding"),
            identifier="Pneumonia",
        ),
        finding_type=own.PNEUMONIA,
        finding_sites=[FindingSite(own.CHEST)],
        algorithm_id=_algorithm(said) if isinstance(said, Answer) else None,
        measurements=_measurements(said) if isinstance(said, Answer) else None,
        qualitative_evaluations=_evaluations(said),
        source_images=[SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)],
    )
    group[0].ContentSequence.extend(_remarks(said))
    device = DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID, name=PRODUCT, manufacturer_name=MANUFACTURER, model_name=PRODUCT
    )
    observer = ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=own.CHEST_RADIOGRAPHY,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )


def presence(said: Answer) -> str:
    """Present, Absent or, where a person should look, Indeterminate."""
    if said.needs_review or not said.reliable:
        return str(own.INDETERMINATE.meaning)
    return str((own.PRESENT if said.label == "PNEUMONIA" else own.ABSENT).meaning)


def _evaluations(said: Answer | Refusal) -> Sequence[QualitativeEvaluation]:
    if isinstance(said, Refusal):
        return [QualitativeEvaluation(own.SCREENED, own.NO)]
    values = {code.meaning: code for code in (own.PRESENT, own.ABSENT, own.INDETERMINATE)}
    return [
        QualitativeEvaluation(own.PRESENCE, values[presence(said)]),
        QualitativeEvaluation(own.RELIABLE, own.YES if said.reliable else own.NO),
    ]


def _measurements(said: Answer) -> Sequence[Measurement]:
    return [
        Measurement(own.PROBABILITY, round(said.probability, 6), own.NO_UNITS),
        Measurement(own.DECISION_THRESHOLD, round(said.threshold, 6), own.NO_UNITS),
    ]


def _algorithm(said: Answer) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=ALGORITHM,
        version=said.model_version,
        manufacturer=MANUFACTURER,
        parameters=[f"sha256={said.model_sha256}"],
    )


def _remarks(said: Answer | Refusal) -> list[ContentItem]:
    if isinstance(said, Refusal):
        return [_text(own.REFUSAL, f"{said.reason}: {said.detail}"), _text(own.COMMENT, DISCLAIMER)]
    cautions = [_text(own.CAUTION, f"{code}: {message}") for code, message in said.warnings]
    return [*cautions, _text(own.COMMENT, DISCLAIMER)]


def _text(name: CodedConcept, value: str) -> TextContentItem:
    return TextContentItem(
        name=name, value=plain(value), relationship_type=RelationshipTypeValues.CONTAINS
    )


def plain(text: str) -> str:
    """A text in ASCII, which every character set of an image contains."""
    dashes = text.replace("–", "-").replace("—", "-").replace("’", "'").replace("…", "...")
    return unicodedata.normalize("NFKD", dashes).encode("ascii", "ignore").decode()
