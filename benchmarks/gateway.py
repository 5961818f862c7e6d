"""The gateway against the service it asks: images a second, processor time, memory.

    python -m benchmarks.gateway
    python -m benchmarks.gateway --apart
    python -m benchmarks.gateway --endurance 2000

The same DICOM files go to the service by HTTP alone, four at once over kept connections, and
through gateway, service and archive, over two associations, until the archive has all results; in
turns.
The gateway's share is images a second the one way by images a second the other.

All programs run on this machine. With the cores shared, what gateway, archive and senders take is
taken from the service: the share cannot exceed what the service and its client need for an image by
what all programs need for one. `--apart` gives the service the first core, in both ways, and all
else the others, as if it ran on another machine: the share says then whether the gateway keeps the
service busy, and cannot exceed what that core allows. What is possible by processor time is printed
beside what was measured, and what part of it went to archive and senders, which stand in for a
hospital's own machines: on a machine that is busy with something else, only the times say anything.

Needs orthanc and dcmtk. Real X-rays where there are some (XRAY_DATA, else ../shared/data), else
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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from benchmarks.inputs import DEFAULT, models_with, originals
from tests.e2e.gateway.programs import Hospital, hospital
from tests.gateway.radiographs import radiograph, write

_AT_ONCE = 4
"""Requests at once: as many as the gateway makes, by default."""

_OVERLOADED = {408, 503}
"""Asked again then, as the gateway does."""

_SENDERS = 2
"""Associations that images come on: as many as Orthanc sends over, by default."""

_PEERS = ("archive", "client")

_ADDRESSES = {
    "service, what the gateway asks": "/predict?heatmap=true&picture=true",
    "service, the answer alone": "/predict",
}


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


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements")
    parser.add_argument("--apart", action="store_true", help="the service on a core of its own")
    parser.add_argument(
        "--endurance", type=int, metavar="N", help="the gateway's memory over N images, no rates"
    )
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if options.apart and len(cores) < 2:
        parser.error("--apart needs two cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = originals()[:20]
        with (
            hospital(
                folder,
                models=models_with(DEFAULT, folder / "models") if pictures else None,  # a tiny one
                service_cores=cores[:1] if options.apart else None,
            ) as place
        ):
            if options.apart:
                for program in (place.archive, place.gateway):
                    program.keep_to(cores[1:])
                os.sched_setaffinity(0, cores[1:])
            if options.endurance:
                endure(place, folder, pictures, options.endurance)
            else:
                runs = measure(place, folder, pictures, options.images, options.rounds)
                report(runs, cores, options.apart)
            print("left in the spool:", sum(1 for _ in place.spool.rglob("*.dcm")), "files")


def measure(
    place: Hospital, folder: Path, pictures: Sequence[Path], images: int, rounds: int
) -> dict[str, list[Run]]:
    """Runs all measurements in turn."""
    runs: dict[str, list[Run]] = {name: [] for name in (*_ADDRESSES, "gateway")}
    for _ in range(rounds):
        with written(folder, pictures, images) as folders:
            files = [file for one in folders for file in sorted(one.iterdir())]
            for name, address in _ADDRESSES.items():
                url = place.service_url + address
                runs[name].append(timed(place, images, partial(ask, url, files)))
            work = partial(pass_through, place, folders, images)
            runs["gateway"].append(timed(place, images, work))
    return runs


def endure(place: Hospital, folder: Path, pictures: Sequence[Path], images: int) -> None:
    """Prints the gateway's memory at the start, and after each hundred images."""
    print("images, MB: 0,", f"{place.gateway.memory() / 1e6:.0f}", end="")
    for done in range(0, images, 100):
        count = min(100, images - done)
        with written(folder, pictures, count) as folders:
            pass_through(place, folders, count)
        print(f"; {done + count}, {place.gateway.memory() / 1e6:.0f}", end="", flush=True)
    print()


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


def report(runs: dict[str, list[Run]], cores: Sequence[int], apart: bool) -> None:
    """Prints the medians as a table, and what share is possible with these cores."""

    def median(name: str, program: str) -> float:
        return statistics.median(run.processor[program] for run in runs[name])

    programs = list(runs["gateway"][0].processor)
    print("| | images/s | gateway's share |", " | ".join(f"{one}, ms" for one in programs), "|")
    print("|---" * (3 + len(programs)) + "|")
    gateway = statistics.median(run.rate for run in runs["gateway"])
    for name, measured in runs.items():
        rate = statistics.median(run.rate for run in measured)
        columns = " | ".join(f"{median(name, one):.1f}" for one in programs)
        print(f"| {name} | {rate:.2f} | {gateway / rate:.2f} | {columns} |")
    peers = sum(median("gateway", one) for one in _PEERS)
    own, service = median("gateway", "gateway"), median("gateway", "service")
    print(f"archive and senders take {100 * peers / (peers + own + service):.0f} % of the time")
    for name in _ADDRESSES:
        alone = median(name, "service")
        if apart:
            most = alone / max(service, (own + peers) / (len(cores) - 1))
        else:
            most = (alone + median(name, "client")) / (service + own + peers)
        print(f"share of the rate of {name}: {most:.2f} at most, by processor time")


def ask(url: str, files: Sequence[Path]) -> None:
    """Posts the files, several at once."""
    with httpx.Client(timeout=120, trust_env=False) as client, ThreadPoolExecutor(_AT_ONCE) as pool:

        def post(file: Path) -> None:
            content = file.read_bytes()
            while (answer := client.post(url, content=content)).status_code in _OVERLOADED:
                time.sleep(float(answer.headers.get("Retry-After", 1)))
            answer.raise_for_status()

        list(pool.map(post, files))


def pass_through(place: Hospital, folders: Sequence[Path], images: int) -> None:
    """Sends the files of each folder over an association, and waits until all are delivered."""
    before = place.metric("gateway_delivered_total")
    with ThreadPoolExecutor(len(folders)) as pool:
        if not all(pool.map(partial(place.send, "+sd"), folders)):
            raise RuntimeError("the gateway did not take all images")
    while place.metric("gateway_delivered_total") < before + images:
        time.sleep(0.1)


@contextmanager
def written(folder: Path, pictures: Sequence[Path], count: int) -> Iterator[list[Path]]:
    """Writes DICOM files of 12 bits, uncompressed, each an image of its own; a folder a sender."""
    folders = [folder / f"sent{number}" for number in range(_SENDERS)]
    for one in folders:
        one.mkdir()
    made: dict[int, Dataset] = {}
    for number in range(count):
        index = number % (len(pictures) or 20)
        if index not in made:
            made[index] = twelve_bits(pictures[index]) if pictures else radiograph(seed=index)
        image = made[index]
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            setattr(image, keyword, generate_uid())
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        write(image, folders[number % _SENDERS] / f"{number}.dcm")
    yield folders
    for one in folders:
        shutil.rmtree(one)


def twelve_bits(picture: Path) -> Dataset:
    """An X-ray as a detector would give it: 12 bits in 16, uncompressed."""
    with Image.open(picture) as opened:
        grey = np.asarray(opened.convert("L"), np.uint16)
    pixels = np.left_shift(grey, 4)
    image = radiograph(Rows=grey.shape[0], Columns=grey.shape[1], PixelData=pixels.tobytes())
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image["PixelData"].VR = "OW"
    return image


if __name__ == "__main__":
    main()
