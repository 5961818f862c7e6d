"""The gateway against the service it asks: images a second, and memory. Needs orthanc and dcmtk.

    python -m benchmarks.gateway
    python -m benchmarks.gateway --images 2000 --rounds 1

The same DICOM files go to the service by HTTP alone, and through gateway, service and archive, in
turns, all on this machine. Real X-rays where there are some (XRAY_DATA, else ../shared/data), else
phantoms.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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
    runs: dict[str, list[Run]] = {name: [] for name in (*_ADDRESSES, "gateway")}
    memory = [place.gateway.memory()]
    sent = folder / "sent"
    for _ in range(rounds):
        sent.mkdir()
        files = list(written(sent, pictures, images))
        for name, address in _ADDRESSES.items():
            url = place.service_url + address
            runs[name].append(timed(place, images, partial(ask, url, files)))
        runs["gateway"].append(timed(place, images, partial(pass_through, place, sent, images)))
        memory.append(place.gateway.memory())
        shutil.rmtree(sent)
    report(runs)
    print("gateway's memory, MB:", ", ".join(f"{one / 1e6:.0f}" for one in memory))
    print("left in the spool:", sum(1 for path in place.spool.rglob("*.dcm")), "files")


@dataclass(frozen=True)
class Run:
    """One measurement.

    Attributes:
        rate: Images a second.
        processor: Processor time an image took in each program, in milliseconds; "client" is who
            sends: this process, or storescu.
    """

    rate: float
    processor: dict[str, float]


def timed(place: Hospital, images: int, work: Callable[[], None]) -> Run:
    """Runs a measurement."""

    def spent() -> dict[str, float]:
        programs = {one.name: one.processor_seconds() for one in place.programs}
        return programs | {"client": sum(os.times()[:4])}

    before, begun = spent(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - begun, spent()
    return Run(
        images / seconds, {name: 1000 * (after[name] - before[name]) / images for name in after}
    )


def report(runs: dict[str, list[Run]]) -> None:
    """Prints the medians as a table."""
    programs = list(runs["gateway"][0].processor)
    print("| | images/s | gateway's share |", " | ".join(f"{one}, ms" for one in programs), "|")
    print("|---" * (3 + len(programs)) + "|")
    gateway = statistics.median(run.rate for run in runs["gateway"])
    for name, measured in runs.items():
        rate = statistics.median(run.rate for run in measured)
        took = (statistics.median(run.processor[one] for run in measured) for one in programs)
        columns = " | ".join(f"{one:.1f}" for one in took)
        print(f"| {name} | {rate:.2f} | {gateway / rate:.2f} | {columns} |")


def ask(url: str, files: Sequence[Path]) -> None:
    """Posts the files, several at once."""
    with httpx.Client(timeout=120, trust_env=False) as client, ThreadPoolExecutor(_AT_ONCE) as pool:

        def post(file: Path) -> None:
            client.post(url, content=file.read_bytes()).raise_for_status()

        list(pool.map(post, files))


def pass_through(place: Hospital, folder: Path, images: int) -> None:
    """Sends the files with storescu, over one association, and waits until all are delivered."""
    before = place.metric("gateway_delivered_total")
    if not place.send("+sd", folder):
        raise RuntimeError("the gateway did not take all images")
    while place.metric("gateway_delivered_total") < before + images:
        time.sleep(0.1)


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
