"""The bare limit: decode, preprocess and run the network in a loop, on every core, without HTTP.

    python -m benchmarks.serving.bare BUNDLE IMAGE SECONDS CORES

Prints images a second and the median milliseconds an image takes on one core, as JSON.
"""

import json
import statistics
import sys
import time
from multiprocessing import get_context
from pathlib import Path

from shared.imaging.decode import decode
from shared.imaging.hardening import harden
from shared.onnx_network import OnnxNetwork
from shared.preprocessing import preprocess


def work(bundle: str, image: str, seconds: float) -> list[float]:
    """Works for so many seconds on one core; returns the seconds that each image took."""
    harden()
    network = OnnxNetwork(Path(bundle) / "model.onnx")
    data = Path(image).read_bytes()
    for _ in range(5):
        network(preprocess(decode(data)))
    took = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        network(preprocess(decode(data)))
        took.append(time.perf_counter() - start)
    return took


def main() -> None:
    bundle, image, seconds, cores = sys.argv[1:]
    with get_context("spawn").Pool(int(cores)) as pool:
        took = pool.starmap(work, [(bundle, image, float(seconds))] * int(cores))
    alone = work(bundle, image, float(seconds))
    print(
        json.dumps(
            {
                "requests_a_second": sum(len(times) / sum(times) for times in took),
                "p50_ms": 1000 * statistics.median(alone),
            }
        )
    )


if __name__ == "__main__":
    main()
