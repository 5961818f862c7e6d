"""The gateway against the service it asks: images a second, and memory. Needs orthanc and dcmtk.

    python -m benchmarks.gateway
    python -m benchmarks.gateway --images 2000 --rounds 1

The same DICOM files go to the service by HTTP alone, and through gateway, service and archive, in
turns, all on this machine. Real X-rays where there are some (XRAY_DATA, else ../shared/data), else
phantoms.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from shared.bundle.manifest import Manifest
from tests.conftest import ROOT
from tests.e2e.gateway.programs import Hospital, hospital
from tests.gateway.radiographs import radiograph, write

_AT_ONCE = 4
"""Requests at once: as many as the gateway makes, by default."""

_ADDRESSES = {
    "service, what the gateway asks": "/predict?heatmap=true&picture=true",
    "service, the answer alone": "/predict",
}


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = samples()
        with hospital(folder, models=served_models(folder, len(pictures) > 0)) as place:
            measure(place, folder, pictures, options.images, options.rounds)


def measure(
    place: Hospital, folder: Path, pictures: Sequence[Path], images: int, rounds: int
) -> None:
    """Runs all measurements in turn, and prints what came of them."""
    rates: dict[str, list[float]] = {name: [] for name in (*_ADDRESSES, "gateway")}
    memory = [place.gateway.memory()]
    sent = folder / "sent"
    for _ in range(rounds):
        sent.mkdir()
        files = list(written(sent, pictures, images))
        for name, address in _ADDRESSES.items():
            rates[name].append(asked(place.service_url + address, files))
        rates["gateway"].append(through_the_gateway(place, sent, images))
        memory.append(place.gateway.memory())
        for file in sent.iterdir():
            file.unlink()
        sent.rmdir()
    gateway = statistics.median(rates["gateway"])
    print("| | images/s | gateway's share |\n|---|---|---|")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"| {name} | {rate:.2f} | {gateway / rate:.2f} |")
    print("gateway's memory, MB:", ", ".join(f"{one / 1e6:.0f}" for one in memory))
    print("left in the spool:", sum(1 for path in place.spool.rglob("*.dcm")), "files")


def asked(url: str, files: Sequence[Path]) -> float:
    """Posts the files; images a second."""
    with httpx.Client(timeout=120, trust_env=False) as client:

        def post(file: Path) -> None:
            client.post(url, content=file.read_bytes()).raise_for_status()

        post(files[0])  # warm
        begun = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(post, files))
        return len(files) / (time.perf_counter() - begun)


def through_the_gateway(place: Hospital, folder: Path, images: int) -> float:
    """Sends the files with storescu, over one association; images a second until delivered."""
    before = place.metric("gateway_delivered_total")
    begun = time.perf_counter()
    if not place.send("+sd", folder):
        raise RuntimeError("the gateway did not take all images")
    while place.metric("gateway_delivered_total") < before + images:
        time.sleep(0.1)
    return images / (time.perf_counter() - begun)


def written(folder: Path, pictures: Sequence[Path], count: int) -> Iterator[Path]:
    """Writes DICOM files of 12 bits, uncompressed, each an image of its own."""
    made: dict[int, Dataset] = {}
    for number in range(count):
        index = number % max(1, len(pictures) or 20)
        if index not in made:
            made[index] = twelve_bits(pictures[index]) if pictures else radiograph(seed=index)
        image = made[index]
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            setattr(image, keyword, generate_uid())
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        yield write(image, folder / f"{number}.dcm")


def twelve_bits(picture: Path) -> Dataset:
    """An X-ray as a detector would give it: 12 bits in 16, uncompressed."""
    with Image.open(picture) as opened:
        grey = np.asarray(opened.convert("L"), np.uint16)
    pixels = np.left_shift(grey, 4)
    image = radiograph(Rows=grey.shape[0], Columns=grey.shape[1], PixelData=pixels.tobytes())
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image["PixelData"].VR = "OW"
    return image


def samples() -> list[Path]:
    """Real X-rays in their own size; none where there is no such folder."""
    data = Path(os.environ.get("XRAY_DATA") or ROOT / ".." / "shared" / "data")
    return sorted((data / "full_resolution").rglob("*.jp*g"))[:20]


def served_models(folder: Path, real: bool) -> Path | None:
    """A models folder with the bundle that ships; None, for a tiny one, with phantoms."""
    if not real:
        return None
    bundle = ROOT / "models" / "default"
    version = Manifest.model_validate_json((bundle / "model.json").read_bytes()).version
    models = folder / "models"
    models.mkdir()
    (models / version).symlink_to(bundle)
    (models / "current").write_text(version)
    return models


if __name__ == "__main__":
    main()
