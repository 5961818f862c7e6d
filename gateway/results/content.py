"""What a report says: TID 1500 (PS3.16), with one finding, its probability, and what found it.

Building the tree of content costs more than all else that is done with an image, and nearly all of
it is the same for every image of a model. So it is built once for each thing that may be said, and
kept encoded; an image's own values are then set in a copy.
"""

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
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
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComputedRadiographyImageStorage

from gateway.results import codes as own
from gateway.results.identity import DEVICE_UID, MANUFACTURER, PRODUCT, derived_uid
from gateway.screening_client import Answer, Refusal

ALGORITHM: Final = "Chest X-ray screening for pneumonia"
DISCLAIMER: Final = "Second opinion by a computer, not a diagnosis. A clinician decides."

_ANY_UID: Final = derived_uid("an image that is not known yet")


def measurement_report(header: Dataset, said: Answer | Refusal, model: str) -> Dataset:
    """The content of a report, to be added to its document.

    Args:
        header: The image's, from `read_header`.
        said: The answer, or why there is none.
        model: Version of the model that judged the image, or what stands for it.
    """
    if isinstance(said, Answer):
        said_of_all = replace(said, probability=0.0, picture=None, heatmap=None)
        content = dcmread(io.BytesIO(_template(said_of_all)), force=True)
    else:
        content = dcmread(io.BytesIO(_template(said)), force=True)
    [group] = content.ContentSequence[-1].ContentSequence
    for item in group.ContentSequence:
        if item.ValueType == "UIDREF":
            item.UID = derived_uid(str(header.SOPInstanceUID), model, "finding")
        elif item.ValueType == "IMAGE":
            [reference] = item.ReferencedSOPSequence
            reference.ReferencedSOPClassUID = str(header.SOPClassUID)
            reference.ReferencedSOPInstanceUID = str(header.SOPInstanceUID)
        elif item.ValueType == "NUM" and _is_about(item, own.PROBABILITY):
            assert isinstance(said, Answer)
            item.MeasuredValueSequence[0].NumericValue = f"{said.probability:.6f}"
    return content


def _is_about(item: Dataset, concept: CodedConcept) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == concept.value)


@lru_cache(maxsize=32)
def _template(said: Answer | Refusal) -> bytes:
    """The content of all reports that say this, encoded as Implicit VR Little Endian."""
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=_ANY_UID, identifier="Pneumonia"),
        finding_type=own.PNEUMONIA,
        finding_sites=[FindingSite(own.CHEST)],
        algorithm_id=_algorithm(said) if isinstance(said, Answer) else None,
        measurements=_measurements(said) if isinstance(said, Answer) else None,
        qualitative_evaluations=_evaluations(said),
        source_images=[SourceImageForMeasurementGroup(ComputedRadiographyImageStorage, _ANY_UID)],
    )
    group[0].ContentSequence.extend(_remarks(said))
    device = DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID, name=PRODUCT, manufacturer_name=MANUFACTURER, model_name=PRODUCT
    )
    observer = ObserverContext(
        observer_type=codes.DCM.Device, observer_identifying_attributes=device
    )
    [root] = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=own.CHEST_RADIOGRAPHY,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    content, stream = Dataset(), io.BytesIO()
    content.update(root)
    content.save_as(stream, implicit_vr=True, little_endian=True)
    return stream.getvalue()


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
