"""The estimate of memory holds against what decoding really takes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from shared.imaging.decode import open_image
from tests.conftest import ROOT
from tests.phantoms import chest_phantom
from tests.shared.imaging.pictures import encode, tiff_tile
from tests.shared.imaging.radiographs import LOSSLESS, LOSSY, radiograph

WIDTH, HEIGHT = 2400, 2000


@cache
def grey() -> Image.Image:
    """A large phantom; made once it is asked for, as are the files of it."""
    return Image.fromarray(chest_phantom(np.random.default_rng(5), False, (HEIGHT, WIDTH)))


def rgb() -> Image.Image:
    return grey().convert("RGB")


def rgba() -> Image.Image:
    image = grey().convert("RGBA")
    image.putalpha(grey())
    return image


def deep() -> NDArray[np.uint16]:
    return np.asarray(grey()).astype(np.uint16) << np.uint16(4)


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(grey(), "JPEG"),
    "jpeg-rgb": lambda: encode(rgb(), "JPEG"),
    "jpeg-progressive": lambda: encode(grey(), "JPEG", progressive=True),
    "jpeg-rgb-progressive": lambda: encode(rgb(), "JPEG", progressive=True, subsampling=0),
    "jpeg-cmyk": lambda: encode(rgb().convert("CMYK"), "JPEG"),
    "png": lambda: encode(grey(), "PNG", compress_level=1),
    "png-rgb": lambda: encode(rgb(), "PNG", compress_level=1),
    "png-rgba": lambda: encode(rgba(), "PNG", compress_level=1),
    "png-palette": lambda: encode(grey().convert("P"), "PNG", transparency=1, compress_level=1),
    "png-16": lambda: encode(np.asarray(grey()).astype(np.uint16) * 257, "PNG", compress_level=1),
    "tiff-cmyk": lambda: encode(rgb().convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff-float": lambda: encode(grey().convert("F"), "TIFF"),
    "tiff-lzw": lambda: encode(grey(), "TIFF", compression="tiff_lzw"),
    "tiff-tile": lambda: tiff_tile(side=64, tile=2800),
    "bmp": lambda: encode(rgb(), "BMP"),
    "webp": lambda: encode(rgb(), "WEBP", method=0),
} | {
    f"dicom-{syntax.keyword}": lambda syntax=syntax: radiograph(deep(), 12, syntax)
    for syntax in (*LOSSLESS, *LOSSY)
    if syntax != JPEGBaseline8Bit
}

# The peak of the resident set, which Linux lets a process reset (proc(5), clear_refs). Each pair of
# files is decoded in a process of its own; what they import is loaded once for all.
MEASURE = """
import os, sys
from pathlib import Path
import shared.imaging.dicom.image
from shared.imaging.decode import decode, open_image

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

for folder in sys.stdin:
    if os.fork():
        assert os.wait()[1] == 0
        continue
    folder = Path(folder.rstrip("\\n"))
    decode((folder / "first").read_bytes())
    data = (folder / "file").read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    decode(data)
    print(status("VmHWM") - before, open_image(data).decoded_bytes, flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def measuring() -> Iterator[subprocess.Popen[str]]:
    """Reads folders with a `first` file and another; writes what decoding the other took."""
    with subprocess.Popen(
        [sys.executable, "-c", MEASURE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", FILES)
def test_the_estimate_is_an_upper_bound_and_no_wild_one(
    kind: str, measuring: subprocess.Popen[str], tmp_path: Path
) -> None:
    small = encode(Image.new("L", (64, 64)), "PNG")
    if kind.startswith("dicom"):  # what it takes to load a decoder is no image's
        syntax = next(other for other in (*LOSSLESS, *LOSSY) if kind.endswith(f"-{other.keyword}"))
        small = radiograph(deep()[:64, :64], 12, syntax)
    (tmp_path / "first").write_bytes(small)
    (tmp_path / "file").write_bytes(FILES[kind]())
    assert measuring.stdin is not None
    assert measuring.stdout is not None
    print(tmp_path, file=measuring.stdin, flush=True)
    measured, estimated = (int(word) for word in measuring.stdout.readline().split())
    slack = 3_000_000  # code that is loaded by the first file of a kind
    assert measured <= estimated * 1.05 + slack
    assert estimated <= measured * 1.7 + slack


@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\xd7"])
def test_a_marker_without_a_length_hides_no_scan(marker: bytes) -> None:
    data = encode(rgb(), "JPEG")
    at = data.index(b"\xff\xda")
    one_component = data[:at] + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + data[at:]
    # Two bytes to skip; as a length, they would lead past that scan, to the one of three.
    hidden = data[:at] + marker + b"\0\x0c" + one_component[at:]
    expected = open_image(one_component).decoded_bytes
    assert expected > open_image(data).decoded_bytes + 2 * WIDTH * HEIGHT
    assert open_image(hidden).decoded_bytes >= expected
