"""What a report says: TID 1500 (PS3.16), with one finding, its probability, and what found it.

Building the tree of content costs more than all else that is done with an image, and nearly all of
it is the same for every image of a model. So it is built once for each thing that may be said, and
kept encoded; an image's own values take the place of others in it. No sequence on their way has a
length that would have to change with them (PS3.5, section 7.5.2: undefined length).
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
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage

from gateway.results import codes as own
from gateway.results.identity import DEVICE_UID, MANUFACTURER, PRODUCT, derived_uid
from gateway.screening_client import Answer, Refusal

ALGORITHM: Final = "Chest X-ray screening for pneumonia"
DISCLAIMER: Final = "Second opinion by a computer, not a diagnosis. A clinician decides."

_ANY_IMAGE: Final = derived_uid("an image that is not known yet")
_ANY_FINDING: Final = derived_uid("a finding that is not known yet")
_ANY_CLASS: Final = ComputedRadiographyImageStorage
_NO_PROBABILITY: Final = -1
"""Stand for an image's own values in what is kept; none of them occurs there otherwise."""

_CONTENT: Final = Tag(0x0040, 0xA730)


def measurement_report(header: Dataset, said: Answer | Refusal, model: str) -> Dataset:
    """The content of a report, to be added to its document; encoded as Implicit VR Little Endian.

    Args:
        header: The image's, from `read_header`.
        said: The answer, or why there is none.
        model: Version of the model that judged the image, or what stands for it.
    """
    image = str(header.SOPInstanceUID)
    slots: list[tuple[str, object, object]] = [
        ("UID", _ANY_FINDING, derived_uid(image, model, "finding")),
        ("ReferencedSOPClassUID", _ANY_CLASS, str(header.SOPClassUID)),
        ("ReferencedSOPInstanceUID", _ANY_IMAGE, image),
    ]
    if isinstance(said, Answer):
        slots.append(("NumericValue", _NO_PROBABILITY, f"{said.probability:.6f}"))
        said = replace(said, probability=_NO_PROBABILITY, picture=None, heatmap=None)
    report = Dataset()
    report.update(_template(said))
    tree = report.get_item(_CONTENT).value
    for keyword, placeholder, value in slots:
        tree = tree.replace(_element(keyword, placeholder), _element(keyword, value))
    report[_CONTENT] = RawDataElement(_CONTENT, "SQ", len(tree), tree, 0, True, True)
    return report


def _element(keyword: str, value: object) -> bytes:
    """An attribute as it stands in the content."""
    one = Dataset()
    setattr(one, keyword, value)
    return _encoded(one)


def _encoded(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=True, little_endian=True)
    return stream.getvalue()


@lru_cache(maxsize=32)
def _template(said: Answer | Refusal) -> Dataset:
    """The content of all reports that say this, not decoded; not to be changed."""
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=_ANY_FINDING, identifier="Pneumonia"),
        finding_type=own.PNEUMONIA,
        finding_sites=[FindingSite(own.CHEST)],
        algorithm_id=_algorithm(said) if isinstance(said, Answer) else None,
        measurements=_measurements(said) if isinstance(said, Answer) else None,
        qualitative_evaluations=_evaluations(said),
        source_images=[SourceImageForMeasurementGroup(_ANY_CLASS, _ANY_IMAGE)],
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
    content = Dataset()
    content.update(root)
    for item in content.ContentSequence:
        _leave_lengths_open(item)
    return dcmread(io.BytesIO(_encoded(content)), force=True)


def _leave_lengths_open(item: Dataset) -> None:
    item.is_undefined_length_sequence_item = True
    for element in item:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for inner in element.value:
                _leave_lengths_open(inner)


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
        Measurement(own.PROBABILITY, said.probability, own.NO_UNITS),
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
