"""What screening an archive costs beside screening alone, in one run on this machine.

    python -m benchmarks.archive [--images 3000] [--small 100000] [--bundle models/default]

The originals are those of XRAY_DATA (or ../shared/data), under as many other names as are asked
for. The other side is a bare loop: the same files, the same threads, no plan, no parts, no results.
Both run in processes of their own, one after the other; CPU time counts what other programs do
less than the clock does. The small files are one drawn picture under many names. Prints a table.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.inputs import DEFAULT, originals
from benchmarks.serving.servers import peak_memory
from service.runtime.cpus import usable_cores
from tests.conftest import ROOT
from tests.e2e.archive_processes import free_port, scheduler, worker
from tests.service.tiny_bundle import NORMAL_LIKE

BARE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from service.inference.loaded_model import load_bundle
from service.runtime.byte_budget import ByteBudget
from shared.runtime.malloc import keep_small_blocks
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import screen
cores = int(sys.argv[3])
keep_small_blocks(cores)
model, budget = load_bundle(Path(sys.argv[1])), ByteBudget(1 << 27)
def one(path):
    screen(model, path.read_bytes(), DecodingMemory(budget))
with ThreadPoolExecutor(cores) as pool:
    list(pool.map(one, sorted(Path(sys.argv[2]).iterdir())))
"""
SCREEN = [sys.executable, "-m", "service", "screen"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=3000, help="originals (default 3000)")
    parser.add_argument("--small", type=int, default=100_000, help="small files; 0 for none")
    parser.add_argument("--bundle", type=Path, default=DEFAULT)
    asked = parser.parse_args()
    images = originals()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if images and asked.images:
            lay_out(folder / "originals", images, asked.images)
            compare(folder, asked.bundle, asked.images)
            cluster(folder, asked.images)
        elif asked.images:
            print("no originals; name a folder of them in XRAY_DATA")
        if asked.small:
            small_files(folder, asked.small)
    print(f"\nload: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


def lay_out(folder: Path, images: list[Path], count: int) -> None:
    """As many files as asked for, with the images' content, read once."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06d}.jpeg").symlink_to(images[number % len(images)])
    for image in images:
        image.read_bytes()


def compare(folder: Path, bundle: Path, count: int) -> None:
    images, cores = str(folder / "originals"), usable_cores()
    rounds = {
        "bare loop": [sys.executable, "-c", BARE, str(bundle), images, str(cores)],
        "screen to .csv": [*SCREEN, images, "--out", str(folder / "results.csv")],
        "screen to a folder": [*SCREEN, images, "--out", f"{folder}/run/"],
    }
    print(f"{count} originals, {cores} cores\n")
    print("| | CPU ms an image | of the bare loop | images/s, with start | of the bare loop |")
    print("|---|---|---|---|---|")
    bare: tuple[float, float] | None = None
    for name, command in rounds.items():
        cpu, wall = timed(command)
        bare = bare or (cpu, wall)
        print(
            f"| {name} | {1000 * cpu / count:.1f} | {cpu / bare[0]:.2f} | {count / wall:.1f} | "
            f"{bare[1] / wall:.2f} |",
            flush=True,
        )


def timed(command: list[str]) -> tuple[float, float]:
    """The seconds of CPU and of the clock that a command takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def cluster(folder: Path, count: int) -> None:
    """A scheduler, one worker of two threads: how much memory each took at most."""
    port = free_port()
    with (
        scheduler(port, folder / "scheduler.log") as scheduling,
        worker(port, folder / "worker.log") as working,
    ):
        start = time.perf_counter()
        images, address = str(folder / "originals"), f"tcp://127.0.0.1:{port}"
        out = ["--out", f"{folder}/dask/", "--scheduler", address, "--patience=120"]
        subprocess.run([*SCREEN, images, *out], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        print(f"\nDask, one worker of two threads: {count / wall:.1f} images/s with their start")
        for name, process in (("scheduler", scheduling), ("worker", working)):
            print(f"memory of the {name}, at most: {peak_memory(process.pid) / 1e6:.0f} MB")


def small_files(folder: Path, count: int) -> None:
    """Until the first part is there, and from the command until a killed run has one more."""
    images, out = folder / "small", folder / "small-run"
    images.mkdir()
    for number in range(count):  # no links: a file system allows 65,000 to one
        (images / f"{number}.png").write_bytes(NORMAL_LIKE)
    command = [*SCREEN, str(images), "--out", f"{out}/", "--part=100"]

    def parts() -> int:
        return len([*out.glob("part-*")])

    figures = {}
    for name in ("first part", "next part after kill -9"):
        before, start = parts(), time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        while parts() == before:
            time.sleep(0.01)
        wall = time.perf_counter() - start
        cpu = sum(psutil.Process(process.pid).cpu_times()[:2])
        figures[name] = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}
        process.send_signal(signal.SIGKILL)
        process.wait()
    print(f"\n{count} small files: {json.dumps(figures)}")


if __name__ == "__main__":
    main()
