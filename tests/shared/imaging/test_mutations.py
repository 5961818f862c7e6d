"""Damaged bytes decode or are refused; nothing else ever happens, and nothing is printed."""

import os
import zlib

import numpy as np
import pytest

from shared.imaging.decode import decode, open_image
from shared.imaging.refusal import ImageRefused
from tests.shared.imaging.pictures import every_format
from tests.shared.imaging.radiographs import every_dicom

FILES = every_format() | every_dicom()
COUNT = int(os.environ.get("MUTATIONS", "120"))
"""Damaged copies of each kind of file; more by MUTATIONS=2000 in the environment."""


def mutate(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Flip bits, overwrite, cut, repeat or splice, near the header more often than not."""
    mutant = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        # Squared, so that headers get more of it.
        at = int(rng.random() ** 2 * len(mutant)) if mutant else 0
        length = int(rng.integers(1, 40))
        match int(rng.integers(0, 7)):
            case 0 if mutant:
                mutant[at] ^= 1 << int(rng.integers(0, 8))
            case 1 if mutant:
                mutant[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 2:
                mutant[at : at + length] = rng.bytes(length)
            case 3:
                del mutant[at : at + length]
            case 4:
                mutant[at:at] = mutant[at : at + length] * 3
            case 5:
                start = int(rng.integers(0, len(other)))
                mutant[at : at + length] = other[start : start + length]
            case 6:
                del mutant[int(rng.integers(0, len(mutant) + 1)) :]
    return bytes(mutant)


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_decodes_or_is_refused(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    kinds = list(FILES)
    for _ in range(COUNT):
        other = FILES[kinds[int(rng.integers(0, len(kinds)))]]
        data = mutate(rng, FILES[kind], other)
        try:
            open_image(data)
            grey = decode(data)
        except ImageRefused as refusal:
            assert refusal.detail
            assert refusal.reason
        else:
            assert grey.dtype == np.uint8
            assert grey.ndim == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    if not kind.startswith("tiff"):  # libtiff names the damage, not content, on stderr
        assert printed.err == ""


def test_random_bytes_behind_every_signature() -> None:
    rng = np.random.default_rng(3)
    signatures = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM"]
    signatures += [bytes(128) + b"DICM", b"\x08\0\x05\0", b"\x02\0\0\0UL"]
    signatures += [b"RIFF\x10\0\0\0WEBP", b"RIFF\xff\xff\xff\x7fWEBPVP8X", b""]
    for signature in signatures:
        for size in rng.integers(0, 600, 40):
            with pytest.raises(ImageRefused):
                decode(signature + rng.bytes(int(size)))
