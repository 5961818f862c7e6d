"""Which objects the gateway is for: CR and DX images, in what the service decodes."""

from pathlib import Path
from typing import Final

from pydicom import dcmread, uid
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID

TRANSFER_SYNTAXES: Final = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
"""Those that the service decodes, the ones that cost least first."""

RADIOGRAPHS: Final = (
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForProcessing,
)

POSSIBLE: Final = (*RADIOGRAPHS, uid.SecondaryCaptureImageStorage)
"""The classes of which some objects, or all, are radiographs."""

_MODALITIES: Final = frozenset({"CR", "DX"})


def is_radiograph(sop_class: UID, file: Path) -> bool:
    """Whether an object is a CR or DX image: by its class or, as a Secondary Capture, its modality.

    The gateway's own pictures are Secondary Captures of another modality: what an archive sends
    back is not screened again.

    Args:
        sop_class: Its SOP Class UID.
        file: The object as DICOM file (PS3.10).
    """
    if sop_class in RADIOGRAPHS:
        return True
    if sop_class != uid.SecondaryCaptureImageStorage:
        return False
    try:
        if read_file_meta_info(file).TransferSyntaxUID == uid.DeflatedExplicitVRLittleEndian:
            return False  # inflated, it may have any size
        header = dcmread(file, stop_before_pixels=True, specific_tags=["Modality"])
        return header.get("Modality") in _MODALITIES
    except Exception:  # noqa: BLE001  # pydicom may raise anything about bytes that are no data set
        return False
