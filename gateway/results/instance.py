"""A new instance in an image's study: what reports and pictures have in common.

highdicom has classes for whole instances too. They load a table of all attributes of all modules,
which takes 70 MB of memory for good, where its templates of a report's content do not.
"""

import io
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian

from gateway import __version__
from gateway.results.identity import (
    IMPLEMENTATION_UID,
    MANUFACTURER,
    PRODUCT,
    copy_patient_and_study,
    derived_uid,
)

NOT_JUDGED: Final = "refused"
"""Stands for a model's version where none judged the image."""


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    Attributes:
        name: What its UIDs are derived from, and its file in the spool is called.
        sop_class: Its SOP class.
        modality: Modality of its series.
        series_number: Number of its series in the study.
        description: Description of its series.
    """

    name: str
    sop_class: UID
    modality: str
    series_number: int
    description: str


def new_instance(header: Dataset, kind: Kind, model: str, now: datetime) -> Dataset:
    """An instance in a series of its own in the image's study, without content.

    The modules Patient, General Study, General Series, General Equipment and SOP Common (PS3.3,
    C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1 and C.12.1). The same image, model and kind give the same
    UIDs.

    Args:
        header: The image's, from `read_header`.
        kind: What it will be.
        model: Version of the model that judged the image.
        now: When it did, in local time.

    Returns:
        The instance, to be written as Implicit VR Little Endian, which every node takes, unless its
        transfer syntax is set to another one.
    """
    image = str(header.SOPInstanceUID)
    made = Dataset()
    copy_patient_and_study(header, made)
    made.SOPClassUID = kind.sop_class
    made.SOPInstanceUID = derived_uid(image, model, kind.name)
    made.SeriesInstanceUID = derived_uid(image, model, kind.name, "series")
    made.SeriesNumber, made.InstanceNumber = kind.series_number, 1
    made.SeriesDescription = kind.description
    made.Modality = kind.modality
    made.InstanceCreationDate = made.ContentDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.ContentTime = now.strftime("%H%M%S")
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, PRODUCT
    made.SoftwareVersions = [__version__, model[:64]]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = UID(str(made.SOPInstanceUID))
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    return made


def encoded(instance: Dataset) -> bytes:
    """An instance as DICOM file (PS3.10), what was copied from the image not decoded on the way."""
    declared = instance.get("SpecificCharacterSet")
    instance.set_original_encoding(
        instance.file_meta.TransferSyntaxUID.is_implicit_VR,
        True,
        convert_encodings(declared) if declared else default_encoding,
    )
    stream = io.BytesIO()
    instance.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def reference_to(header: Dataset) -> Dataset:
    """An item that refers to the image (PS3.3, table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = str(header.SOPClassUID)
    item.ReferencedSOPInstanceUID = str(header.SOPInstanceUID)
    return item
