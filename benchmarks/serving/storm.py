"""Overload: 300 connections at three times what the service can do."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import uvloop

from benchmarks.serving.images import Sample
from benchmarks.serving.load import BOUNDARY, load
from benchmarks.serving.servers import Running, Server, running

CONNECTIONS = 300
SECONDS = 20


@dataclass
class Weather:
    """What the callers met, in seconds.

    Attributes:
        answered: Latencies of the good answers.
        refused: Latencies of the 503s.
        probed: Latencies of `/livez` and `/readyz`.
        broken: Requests that ended otherwise.
        memory: The service's memory, in bytes, now and then.
    """

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    probed: list[float] = field(default_factory=list)
    broken: int = 0
    memory: list[int] = field(default_factory=list)


def storm(server: Server, image: Sample) -> None:
    """Measures the service's capacity, overloads it, and looks whether it recovers; prints a
    table."""
    with running(server) as service:
        calm = load(f"{service.url}/predict", image.form, connections=8, seconds=5)
        rate = 3 * calm.requests_a_second
        before = uvloop.run(_one_by_one(service, image))
        weather = uvloop.run(_storm(service, image, rate))
        after = uvloop.run(_one_by_one(service, image))
    print(
        f"Capacity {calm.requests_a_second:.0f} req/s; {CONNECTIONS} connections, {rate:.0f} "
        "req/s.\n"
    )
    p99 = np.percentile(weather.answered or [0], 99)
    median = statistics.median(weather.refused or [0])
    print(f"""| figure | measured | goal |
|---|---|---|
| answered | {len(weather.answered)} | |
| answered: p99 | {1000 * p99:.0f} ms | 2000 ms |
| refused | {len(weather.refused)} | |
| refused: median | {1000 * median:.0f} ms | 100 ms |
| probes: slowest | {1000 * max(weather.probed):.0f} ms | 300 ms |
| broken | {weather.broken} | 0 |
| memory | {max(weather.memory) / 1e6:.0f} MB | 300 MB |
| one request before, after | {1000 * before:.1f} ms, {1000 * after:.1f} ms | the same |""")


async def _storm(service: Running, image: Sample, rate: float) -> Weather:
    weather = Weather()
    request = _request(image)
    end = time.perf_counter() + SECONDS
    async with asyncio.TaskGroup() as callers:
        callers.create_task(_probe(service, weather, end))
        for number in range(CONNECTIONS):
            callers.create_task(_call(service, request, weather, end, rate / CONNECTIONS, number))
    return weather


async def _call(
    service: Running, request: bytes, weather: Weather, end: float, rate: float, number: int
) -> None:
    """One caller, who sends at a fixed rate whatever comes back."""
    due = time.perf_counter() + number / CONNECTIONS / rate
    connection = None
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = connection or await _connect(service)
        start = time.perf_counter()
        try:
            status = await asyncio.wait_for(_exchange(connection, request), 60)
        except (OSError, EOFError, TimeoutError):
            weather.broken += 1
            connection[1].close()
            connection = None
        else:
            took = time.perf_counter() - start
            kept = {200: weather.answered, 503: weather.refused}.get(status)
            if kept is None:
                weather.broken += 1
            else:
                kept.append(took)
            await connection[1].drain()
        due = max(due + 1 / rate, time.perf_counter())
    if connection is not None:
        connection[1].close()


async def _probe(service: Running, weather: Weather, end: float) -> None:
    connection = await _connect(service)
    while time.perf_counter() < end:
        for path in ("livez", "readyz"):
            start = time.perf_counter()
            request = f"GET /{path} HTTP/1.1\r\nHost: storm\r\n\r\n".encode()
            weather.broken += await _exchange(connection, request) != 200
            weather.probed.append(time.perf_counter() - start)
        weather.memory.append(service.memory())
        await asyncio.sleep(0.1)
    connection[1].close()


async def _one_by_one(service: Running, image: Sample) -> float:
    """The median time of a request alone, in seconds."""
    connection, took = await _connect(service), []
    for _ in range(20):
        start = time.perf_counter()
        await _exchange(connection, _request(image))
        took.append(time.perf_counter() - start)
    connection[1].close()
    return statistics.median(took)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(service: Running) -> Connection:
    address = urlsplit(service.url)
    return await asyncio.open_connection(address.hostname, address.port)


def _request(image: Sample) -> bytes:
    body = image.form.read_bytes()
    head = (
        "POST /predict HTTP/1.1\r\nHost: storm\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _exchange(connection: Connection, request: bytes) -> int:
    """Sends a request and reads its answer: by hand, so that the storm costs little itself."""
    reader, writer = connection
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split()[1])
