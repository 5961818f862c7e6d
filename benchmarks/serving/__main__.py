"""Measures the service against what a user would write instead, and against the machine, in one
run.

    python -m benchmarks.serving [--seconds 10] [--rounds 3] [--bundle models/default] [--no-peers]

All servers run side by side and are loaded in turn, round after round, so that whatever else the
machine does meets them alike; the figures are medians over the rounds. The images are real
originals where XRAY_DATA (or ../shared/data) has them, and drawn in code elsewhere. `--storm`,
`--crowd` and `--endurance` measure the service alone: overload, several callers with large images,
and 20,000 requests.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from benchmarks.inputs import DEFAULT, models_with
from benchmarks.serving.crowd import crowd
from benchmarks.serving.endurance import endure
from benchmarks.serving.images import Sample, samples
from benchmarks.serving.load import Load, load
from benchmarks.serving.servers import Server, running, the_peers, the_service
from benchmarks.serving.storm import storm
from service.runtime.cpus import usable_cores
from tests.conftest import ROOT

CONNECTIONS = (1, 8)


def main() -> None:
    """Runs the benchmark and prints its tables as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement (default 10)")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements (default 3)")
    parser.add_argument("--bundle", type=Path, default=DEFAULT)
    parser.add_argument("--no-peers", action="store_true", help="only the service and the machine")
    parser.add_argument("--storm", action="store_true", help="overload the service instead")
    parser.add_argument("--crowd", action="store_true", help="callers at once, with large images")
    parser.add_argument(
        "--endurance", type=int, metavar="N", help="watch its memory over N requests"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = the_service(models_with(options.bundle, Path(folder) / "models"))
        images = samples(Path(folder))
        print(f"{_processor()}, {usable_cores()} cores\n")
        if options.storm:
            storm(service, images[0])
        elif options.crowd:
            crowd(service)
        elif options.endurance:
            endure(service, images[0], options.endurance)
        else:
            servers = [service] + ([] if options.no_peers else the_peers(options.bundle))
            compare(servers, images, options.bundle, options.rounds, options.seconds)


def compare(
    servers: list[Server], images: list[Sample], bundle: Path, rounds: int, seconds: int
) -> None:
    """Loads all servers in turn, and the bare machine between them; prints two tables."""
    loads: dict[tuple[str, str, int], list[Load]] = defaultdict(list)
    bare: dict[str, list[dict[str, float]]] = defaultdict(list)
    steps = rounds * len(images) * (1 + len(servers) * len(CONNECTIONS))
    with ExitStack() as stack, tqdm(total=steps, unit=" measurements") as bar:
        started = {server.name: stack.enter_context(running(server)) for server in servers}
        for server in started.values():
            load(server.url + "/predict", images[0].form, 1, 2)  # warm
        for _ in range(rounds):
            for image in images:
                bare[image.name].append(_bare(bundle, image, seconds))
                bar.update()
                for name, server in started.items():
                    for connections in CONNECTIONS:
                        measured = load(server.url + "/predict", image.form, connections, seconds)
                        loads[name, image.name, connections].append(measured)
                        bar.update()
        memory = {name: server.memory() for name, server in started.items()}
    for image in images:
        _print_table(image, servers, loads, bare[image.name])
    print("| server | ready after | memory |\n|---|---|---|")
    for name, server in started.items():
        print(f"| {name} | {server.ready_seconds:.1f} s | {memory[name] / 1e6:.0f} MB |")


def _print_table(
    image: Sample,
    servers: list[Server],
    loads: dict[tuple[str, str, int], list[Load]],
    bare: list[dict[str, float]],
) -> None:
    def median(name: str, connections: int, figure: str) -> float:
        measured = loads[name, image.name, connections]
        return float(statistics.median(getattr(one, figure) for one in measured))

    limit = statistics.median(one["requests_a_second"] for one in bare)
    alone = statistics.median(one["p50_ms"] for one in bare)
    print(f"{image.name}: {image.size / 1000:.0f} kB, {image.width} × {image.height}\n")
    print("| server | req/s, 8 conn. | of the limit | p50, 1 conn. | p50, 8 | p99, 8 | failed |")
    print("|---|---|---|---|---|---|---|")
    print(f"| bare limit, no HTTP | {limit:.1f} | 100 % | {alone:.1f} ms | | | |")
    for server in servers:
        rate = median(server.name, 8, "requests_a_second")
        failed = sum(
            one.refused + one.broken
            for connections in CONNECTIONS
            for one in loads[server.name, image.name, connections]
        )
        print(
            f"| {server.name} | {rate:.1f} | {100 * rate / limit:.0f} % "
            f"| {median(server.name, 1, 'p50_ms'):.1f} ms | "
            f"{median(server.name, 8, 'p50_ms'):.0f} ms "
            f"| {median(server.name, 8, 'p99_ms'):.0f} ms | {failed} |"
        )
    print()


def _bare(bundle: Path, image: Sample, seconds: int) -> dict[str, float]:
    """The machine's own limit for one image: `requests_a_second` and `p50_ms`."""
    arguments = [str(bundle), str(image.path), str(seconds), str(usable_cores())]
    command = [sys.executable, "-m", "benchmarks.serving.bare", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _processor() -> str:
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return names[0].partition(":")[2].strip() if names else platform.machine()


if __name__ == "__main__":
    main()
