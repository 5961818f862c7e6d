"""A DICOM file's headers, and where in it the pixels are: read in pieces that are counted.

pydicom reads headers in Python, and inflates a deflated file whole, whatever it is told to read.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset, uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID

from shared.imaging.dicom.headers import HEADER_KEYWORDS
from shared.imaging.dicom.pixels import PIXEL_KEYWORDS
from shared.imaging.metadata import MAX_METADATA
from shared.imaging.rationed_file import RationedFile, RationUsedUp

_TAGS: Final[list[BaseTag | int]] = [
    tag for word in (*HEADER_KEYWORDS, *PIXEL_KEYWORDS) if (tag := tag_for_keyword(word))
]
_SEQUENCES: Final[tuple[int, ...]] = (0x00283000, 0x00283010)  # Modality and VOI LUT
_PIXEL_DATA: Final = 0x7FE00010

# A radiograph has some hundred attributes; each is read in one to three pieces.
_READS: Final = 20_000
# Values are short, but for lookup tables of up to 65,536 entries of two bytes (PS3.3, C.11.1.1),
# of which a sequence may have some.
_LONGEST: Final = 4096
_LONGEST_TABLE: Final = 2 * 65_536
_LONGEST_SEQUENCE: Final = 1024 * 1024
_MOST_ITEMS: Final = 100
_ITEM: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # PS3.5, 7.5.1, in either byte order

_META: Final = 128 + len(b"DICM")  # where the meta information begins (PS3.10, 7.1)
_INFLATED: Final = (
    bytes(128) + b"DICM\x02\x00\x10\x00UI\x14\x00" + uid.ExplicitVRLittleEndian.encode() + b"\0"
)
"""The beginning of a file that was deflated, once it no longer is."""


@dataclass(frozen=True)
class DicomHeaders:
    """What was read of a file.

    Attributes:
        dataset: The attributes that are looked at.
        syntax: The transfer syntax (PS3.5, section 10).
        big_endian: Whether whole numbers have their highest byte first.
        pixels_vr: The pixels' value representation, "OB" or "OW"; None where it is not written.
        pixels_at: Where the pixels begin in the file as `inflate` gives it; None without any.
    """

    dataset: Dataset
    syntax: UID
    big_endian: bool
    pixels_vr: str | None
    pixels_at: int | None


def read_headers(data: bytes) -> DicomHeaders:
    """Reads what comes before the pixels.

    Raises:
        RationUsedUp: There are far more of the headers than any radiograph has.
        Exception: Whatever pydicom finds wrong with them.
    """
    beginning = inflate(data, MAX_METADATA)
    file = RationedFile(beginning, _READS, MAX_METADATA)
    found: list[tuple[str | None, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag == _PIXEL_DATA:
            found.append((vr, file.tell()))
        return bool(tag >= _PIXEL_DATA)

    dataset = read_partial(file, at_pixels, force=True, specific_tags=_TAGS)
    _refuse_long_values(dataset)
    implicit, little = dataset.original_encoding
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if beginning is not data:
        syntax = uid.DeflatedExplicitVRLittleEndian
    if not syntax:  # pydicom told the encoding by its look
        syntax = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        syntax = uid.ImplicitVRLittleEndian if implicit else syntax
    vr, pixels_at = found[0] if found else (None, None)
    return DicomHeaders(dataset, UID(syntax), not little, vr, pixels_at)


def inflate(data: bytes, most: int) -> bytes:
    """The file itself, or the beginning of it in explicit VR little endian if it is deflated.

    Args:
        data: The file's bytes.
        most: How many bytes to inflate (PS3.5, A.5) at most.
    """
    if data[_META - 4 : _META] != b"DICM":
        return data
    file = RationedFile(data, _READS, MAX_METADATA)
    file.seek(_META)
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
        return data
    return _INFLATED + zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[file.tell() :], most)


def _refuse_long_values(dataset: Dataset) -> None:
    """Refuses lists that would take a hundred times their bytes as Python's numbers."""
    for tag, stored in _stored(dataset):
        items = sum(map(stored.count, _ITEM)) if tag in _SEQUENCES else 0
        longest = _LONGEST_SEQUENCE if tag in _SEQUENCES else _LONGEST
        if len(stored) > longest or items > _MOST_ITEMS:
            raise RationUsedUp
    for sequence in _SEQUENCES:
        for item in dataset[sequence].value or () if sequence in dataset else ():
            if any(len(stored) > _LONGEST_TABLE for _, stored in _stored(item)):
                raise RationUsedUp


def _stored(dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    """Tag and bytes of each attribute that pydicom has not made something else of yet."""
    for tag in list(dataset.keys()):
        element: object = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            yield tag, element.value or b""
