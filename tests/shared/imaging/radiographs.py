"""DICOM files of radiographs, made in code: in every transfer syntax that is read."""

import io
import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, dcmwrite, uid
from pydicom.encaps import encapsulate

from tests.shared.imaging.pictures import PHANTOM

CR = uid.ComputedRadiographyImageStorage
DX = uid.DigitalXRayImageStorageForPresentation

DEEP = (PHANTOM.astype(np.uint16) << np.uint16(4)) | np.uint16(5)
"""(160, 200) uint16 of 12 bits."""

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
LOSSLESS = (
    *NATIVE,
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
)
LOSSY = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
)


def radiograph(
    pixels: NDArray[Any] = DEEP,
    bits: int = 12,
    syntax: uid.UID = uid.ExplicitVRLittleEndian,
    frame: bytes | None = None,
    **attributes: Any,
) -> bytes:
    """Writes a chest radiograph.

    Args:
        pixels: (H, W) of whole numbers.
        bits: Bits Stored; the pixels are not checked against it.
        syntax: How to store them.
        frame: What to store instead of them, for a syntax of compressed pixels.
        attributes: More of the headers, by keyword, or other ones; None leaves one out.
    """
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR, "1.2.3.4"
    dataset.Modality, dataset.BodyPartExamined = "CR", "CHEST"
    dataset.PatientAge = "003Y"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 if bits == 8 and pixels.itemsize == 1 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    stored = pixels.astype(f"{order}{pixels.dtype.kind}{dataset.BitsAllocated // 8}").tobytes()
    if syntax in NATIVE:
        dataset.PixelData = stored + bytes(len(stored) % 2)
    else:
        frame = compressed(pixels, bits, syntax) if frame is None else frame
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 or syntax not in NATIVE else "OW"
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return written(dataset, syntax)


def written(dataset: Dataset, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> bytes:
    """Writes a data set as a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CR
    dataset.file_meta.MediaStorageSOPInstanceUID = uid.UID("1.2.3.4")
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def compressed(pixels: NDArray[Any], bits: int, syntax: uid.UID) -> bytes:
    """One frame, as a syntax of compressed pixels has it."""
    unsigned = pixels.view(f"u{pixels.itemsize}")
    if bits < 8 * pixels.itemsize:
        unsigned = unsigned & unsigned.dtype.type((1 << bits) - 1)
    encoders: dict[str, Callable[[], bytes | bytearray]] = {
        uid.RLELossless: lambda: _run_lengths(pixels),
        uid.JPEGBaseline8Bit: lambda: imagecodecs.jpeg8_encode(unsigned, level=98),
        uid.JPEGExtended12Bit: lambda: imagecodecs.jpeg8_encode(
            unsigned, level=98, bitspersample=bits
        ),
        uid.JPEGLossless: lambda: _lossless_jpeg(unsigned, bits, predictor=4),
        uid.JPEGLosslessSV1: lambda: _lossless_jpeg(unsigned, bits, predictor=1),
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(unsigned),
        uid.JPEGLSNearLossless: lambda: imagecodecs.jpegls_encode(unsigned, level=2),
        uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", bitspersample=bits, reversible=True
        ),
        uid.JPEG2000: lambda: imagecodecs.jpeg2k_encode(
            pixels, level=60, codecformat="j2k", bitspersample=bits
        ),
        uid.HTJ2KLossless: lambda: imagecodecs.htj2k_encode(pixels),
        uid.HTJ2KLosslessRPCL: lambda: imagecodecs.htj2k_encode(pixels),
        uid.HTJ2K: lambda: imagecodecs.htj2k_encode(pixels, level=0.0005, reversible=False),
    }
    return bytes(encoders[syntax]())


def _lossless_jpeg(pixels: NDArray[Any], bits: int, predictor: int) -> bytes | bytearray:
    kind = np.uint8 if bits == 8 else np.uint16
    return imagecodecs.jpeg8_encode(
        pixels.astype(kind), lossless=True, predictor=predictor, bitspersample=bits
    )


def _run_lengths(pixels: NDArray[Any]) -> bytes:
    """RLE (PS3.5, annex G): a segment for the high bytes, one for the low ones."""
    planes = pixels.astype(f">{pixels.dtype.str[1:]}").view("u1").reshape(-1, pixels.itemsize).T
    segments = [bytes(imagecodecs.packbits_encode(plane.tobytes())) for plane in planes]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    starts = [64 + sum(map(len, segments[:index])) for index in range(len(segments))]
    header = [len(segments), *starts, *[0] * (15 - len(segments))]
    return struct.pack("<16L", *header) + b"".join(segments)


def every_dicom() -> dict[str, bytes]:
    """One file in every transfer syntax, all of the same picture."""
    files = {
        f"dicom-{syntax.keyword}": radiograph(syntax=syntax, WindowCenter=2048, WindowWidth=4096)
        for syntax in (*LOSSLESS, *LOSSY)
        if syntax != uid.JPEGBaseline8Bit
    }
    files["dicom-JPEGBaseline8Bit"] = radiograph(PHANTOM, 8, uid.JPEGBaseline8Bit)
    files["dicom-8-bit"] = radiograph(PHANTOM, 8)
    return files
