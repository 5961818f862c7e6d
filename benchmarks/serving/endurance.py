"""Memory over many requests: it must not grow."""

from benchmarks.serving.images import Sample
from benchmarks.serving.load import load
from benchmarks.serving.servers import Server, running


def endure(server: Server, image: Sample, requests: int) -> None:
    """Sends so many requests over eight connections, and prints the memory on the way."""
    print("| requests | memory |\n|---|---|")
    with running(server) as service:
        print(f"| 0 | {service.memory() / 1e6:.1f} MB |")
        sent = 0
        while sent < requests:
            measured = load(f"{service.url}/predict", image.form, connections=8, seconds=10)
            sent += measured.requests
            print(f"| {sent} | {service.memory() / 1e6:.1f} MB |", flush=True)
