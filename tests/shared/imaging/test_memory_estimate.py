"""The estimate of memory holds against what decoding really takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from shared.imaging.decode import open_image
from tests.conftest import ROOT
from tests.phantoms import chest_phantom
from tests.shared.imaging.pictures import encode, tiff_tile
from tests.shared.imaging.radiographs import LOSSLESS, LOSSY, radiograph

WIDTH, HEIGHT = 2400, 2000
GREY = Image.fromarray(chest_phantom(np.random.default_rng(5), False, (HEIGHT, WIDTH)))
RGB = GREY.convert("RGB")
ALPHA = GREY.convert("RGBA")
ALPHA.putalpha(GREY)
DEEP = np.asarray(GREY).astype(np.uint16) << np.uint16(4)

FILES = {
    "jpeg": encode(GREY, "JPEG"),
    "jpeg-rgb": encode(RGB, "JPEG"),
    "jpeg-progressive": encode(GREY, "JPEG", progressive=True),
    "jpeg-rgb-progressive": encode(RGB, "JPEG", progressive=True, subsampling=0),
    "jpeg-cmyk": encode(RGB.convert("CMYK"), "JPEG"),
    "png": encode(GREY, "PNG", compress_level=1),
    "png-rgb": encode(RGB, "PNG", compress_level=1),
    "png-rgba": encode(ALPHA, "PNG", compress_level=1),
    "png-palette": encode(GREY.convert("P"), "PNG", transparency=1, compress_level=1),
    "png-16": encode(np.asarray(GREY).astype(np.uint16) * 257, "PNG", compress_level=1),
    "tiff-cmyk": encode(RGB.convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff-float": encode(GREY.convert("F"), "TIFF"),
    "tiff-lzw": encode(GREY, "TIFF", compression="tiff_lzw"),
    "tiff-tile": tiff_tile(side=64, tile=2800),
    "bmp": encode(RGB, "BMP"),
    "webp": encode(RGB, "WEBP", method=0),
} | {
    f"dicom-{syntax.keyword}": radiograph(DEEP, 12, syntax)
    for syntax in (*LOSSLESS, *LOSSY)
    if syntax != JPEGBaseline8Bit
}

# The peak of the resident set, which Linux lets a process reset (proc(5), clear_refs).
MEASURE = """
import sys
from pathlib import Path
from shared.imaging.decode import decode, open_image

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

decode(Path(sys.argv[1]).read_bytes())
for path in sys.argv[2:]:
    data = Path(path).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    decode(data)
    print(status("VmHWM") - before, open_image(data).decoded_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", FILES)
def test_the_estimate_is_an_upper_bound_and_no_wild_one(kind: str, tmp_path: Path) -> None:
    small = encode(Image.new("L", (64, 64)), "PNG")
    if kind.startswith("dicom"):  # what it takes to load pydicom is no image's
        syntax = next(other for other in (*LOSSLESS, *LOSSY) if kind.endswith(f"-{other.keyword}"))
        small = radiograph(DEEP[:64, :64], 12, syntax)
    (tmp_path / "first").write_bytes(small)
    (tmp_path / "file").write_bytes(FILES[kind])
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "first"), str(tmp_path / "file")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    measured, estimated = (int(word) for word in result.stdout.split())
    slack = 3_000_000  # code that is loaded by the first file of a kind
    assert measured <= estimated * 1.05 + slack
    assert estimated <= measured * 1.6 + slack


@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\xd7"])
def test_a_marker_without_a_length_hides_no_scan(marker: bytes) -> None:
    data = encode(RGB, "JPEG")
    at = data.index(b"\xff\xda")
    one_component = data[:at] + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + data[at:]
    # Two bytes to skip; as a length, they would lead past that scan, to the one of three.
    hidden = data[:at] + marker + b"\0\x0c" + one_component[at:]
    expected = open_image(one_component).decoded_bytes
    assert expected > open_image(data).decoded_bytes + 2 * WIDTH * HEIGHT
    assert open_image(hidden).decoded_bytes >= expected
