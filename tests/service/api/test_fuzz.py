"""Damaged images by the thousand: always an answer or a 4xx, never a 5xx.

Few in a normal run, with a seed that is printed; `FUZZ_IMAGES=20000 FUZZ_SEED=7 pytest -s
tests/service/api/test_fuzz.py` tries many.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import httpx
import numpy as np
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from service.api.schemas import ProblemAnswer
from tests.phantoms import chest_phantom
from tests.service.tiny_bundle import encode
from tests.shared.imaging.radiographs import LOSSLESS, LOSSY, radiograph

IMAGES = int(os.environ.get("FUZZ_IMAGES", "300"))
SEED = int(os.environ.get("FUZZ_SEED", random.SystemRandom().randrange(10**6)))


def seeds() -> list[bytes]:
    """A file of every accepted kind, small, so that damage often hits what matters."""
    grey = chest_phantom(np.random.default_rng(1), pneumonia=True, size=(96, 80))
    colour = np.stack([grey, grey // 2, 255 - grey], axis=2)
    deep = grey.astype(np.uint16) * 16
    exif = Image.Exif()
    exif[0x0112] = 8
    exif[0x010E] = "a description"
    alpha = np.dstack([colour, grey])
    return [
        encode(grey, "JPEG", exif=exif),
        encode(colour, "JPEG", progressive=True),
        encode(colour, "JPEG", subsampling=0, restart_marker_blocks=2),
        encode(grey, "PNG"),
        encode(alpha, "PNG"),
        encode(deep, "PNG"),
        encode(deep, "TIFF"),
        encode(colour, "TIFF", compression="tiff_lzw"),
        encode(grey, "TIFF", compression="tiff_adobe_deflate"),
        encode(colour, "TIFF", compression="packbits"),
        encode(colour, "TIFF", compression="jpeg"),
        encode(grey > 100, "TIFF", compression="group4"),
        encode(grey, "BMP"),
        encode(colour, "BMP"),
        encode(colour, "WEBP"),
        encode(alpha, "WEBP", lossless=True),
        *(
            radiograph(deep, 12, syntax)
            for syntax in (*LOSSLESS, *LOSSY)
            if syntax != JPEGBaseline8Bit
        ),
        radiograph(grey, 8, JPEGBaseline8Bit, PhotometricInterpretation="MONOCHROME1"),
    ]


def mutated(rng: random.Random, files: list[bytes]) -> bytes:
    """One of the files, damaged in one to four ways."""
    data = bytearray(rng.choice(files))
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(8):
            case 0:  # flipped bits, anywhere
                for _ in range(rng.choice([1, 1, 2, 8, 64])):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case 1:  # damage within the header
                data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
            case 2:  # cut off
                del data[at:]
            case 3:  # a hole
                del data[at : at + rng.randrange(1, 50)]
            case 4:  # the header of another file
                other = rng.choice(files)
                cut = rng.randrange(4, 120)
                data[:cut] = other[:cut]
            case 5:  # a piece of another file
                other = rng.choice(files)
                start = rng.randrange(len(other))
                data[at:at] = other[start : start + rng.randrange(1, 400)]
            case 6:  # extreme numbers
                data[at : at + 4] = rng.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"]
                )
            case 7:  # the same again
                data += data[at:]
    return bytes(data[:200_000])


def cases() -> Iterator[bytes]:
    rng = random.Random(SEED)
    files = seeds()
    for _ in range(IMAGES):
        yield mutated(rng, files)


def test_whole_files_of_every_kind_are_answered(client: httpx.Client) -> None:
    for data in seeds():
        assert client.post("/predict", content=data).status_code == 200


def test_damaged_images_are_answered_or_refused(client: httpx.Client) -> None:
    print(f"FUZZ_IMAGES={IMAGES} FUZZ_SEED={SEED}")
    said: Counter[str] = Counter()
    for index, data in enumerate(cases()):
        response = client.post("/predict", content=data, headers={"X-Request-ID": f"fuzz-{index}"})
        what = f"image {index} of FUZZ_SEED={SEED}"
        if response.status_code == 200:
            said["answered"] += 1
        else:
            problem = ProblemAnswer.model_validate_json(response.content)
            assert 400 <= response.status_code < 500, f"{what}: {problem.type}"
            said[problem.type.rpartition(":")[2]] += 1
    print(said.most_common())
    assert client.get("/readyz").status_code == 200
    assert len(said) > 3, "the damage should have many consequences"
