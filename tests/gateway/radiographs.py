"""Radiographs as DICOM objects, made in code."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from tests.phantoms import chest_phantom

NAME = "Marker^Patient=ZQX"


def radiograph(
    pneumonia: bool = True,
    size: int = 300,
    sop_class: UID = ComputedRadiographyImageStorage,
    seed: int = 5,
    **attributes: Any,
) -> Dataset:
    """A chest phantom as a CR image; each call makes an instance, series and study of its own.

    Args:
        pneumonia: Whether it has opacities.
        size: Side in pixels.
        sop_class: SOP Class UID.
        seed: Decides the phantom.
        attributes: More attributes by keyword, or others than the usual ones; None removes one.
    """
    pixels = chest_phantom(np.random.default_rng(seed), pneumonia, size)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 100"
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Modality, image.Manufacturer, image.BodyPartExamined = "CR", "Phantoms", "CHEST"
    image.PatientName, image.PatientID = NAME, "ZQX-4711"
    image.PatientBirthDate, image.PatientSex, image.PatientAge = "20230401", "F", "003Y"
    image.StudyDate, image.StudyTime, image.StudyID = "20261128", "101500", "17"
    image.AccessionNumber, image.ReferringPhysicianName = "A-9", "Good^Doctor"
    image.SeriesNumber = image.InstanceNumber = 1
    image.PatientOrientation, image.ViewPosition = ["L", "F"], "AP"
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image


def write(image: Dataset, path: Path) -> Path:
    """Writes it as a DICOM file (PS3.10)."""
    image.save_as(path, enforce_file_format=True)
    return path
