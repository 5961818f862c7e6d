"""A crowd: several callers at once, each with large images, as after a slow night."""

import asyncio
import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from benchmarks.serving.images import nearest_jpeg
from benchmarks.serving.servers import Server, peak_memory, running
from tests.phantoms import chest_phantom

CALLERS = (8, 12)
IMAGES_EACH = 6
FILE_BYTES = 2_500_000
"""Of the ordinary originals, the first of the two crowds."""

# Megapixels, mode, format and options of the large images, the second crowd. The greatest are of
# 40 megapixels, which is the limit; a form of one must fit into 16 MiB.
KINDS: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (7, "L", "JPEG", {"quality": 90}),
    (12, "RGB", "JPEG", {"quality": 85, "progressive": True}),
    (40, "L", "JPEG", {"quality": 70}),
    (40, "L", "JPEG", {"quality": 60, "progressive": True}),
    (10, "L", "PNG", {"compress_level": 1}),
    (40, "L", "PNG", {"compress_level": 1}),
    (24, "RGB", "PNG", {"compress_level": 1}),
    (12, "L", "TIFF", {}),
    (12, "L", "TIFF", {"compression": "tiff_lzw"}),
    (7, "L", "WEBP", {"quality": 50, "method": 0}),
)


def crowd(server: Server) -> None:
    """Has 8 and then 12 callers send at once, each one image after another; prints a table."""
    ordinary = [_ordinary(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as workers:
        large = list(tqdm(workers.map(_large, KINDS), total=len(KINDS), unit=" images drawn"))
    print("| callers | images | answered | put off | other | memory before | peak |")
    print("|---|---|---|---|---|---|---|")
    for name, images in (("2.5 MB", ordinary), ("7 to 40 megapixels", large)):
        for callers in CALLERS:
            with running(server) as service:
                before = service.memory()
                statuses = asyncio.run(_call_all(service.url, images, callers))
                peak = peak_memory(service.process.pid)
            other = statuses.total() - statuses[200] - statuses[503]
            print(
                f"| {callers} | {name} | {statuses[200]} | {statuses[503]} | {other} | "
                f"{before / 1e6:.0f} MB | {peak / 1e6:.0f} MB |",
                flush=True,
            )


async def _call_all(url: str, images: list[bytes], callers: int) -> Counter[int]:
    """The statuses of all answers; nobody sends anything again."""
    statuses: Counter[int] = Counter()

    async def call(number: int) -> None:
        async with httpx.AsyncClient(timeout=300) as client:
            for step in range(IMAGES_EACH):
                image = images[(number + step) % len(images)]
                answer = await client.post(f"{url}/predict", files={"file": image})
                statuses[answer.status_code] += 1

    await asyncio.gather(*(call(number) for number in range(callers)))
    return statuses


def _ordinary(seed: int) -> bytes:
    """A JPEG of about 2.5 MB: a phantom with the noise of a detector."""
    return nearest_jpeg(_noisy(seed, (2400, 2900), 6), FILE_BYTES)


def _large(kind: tuple[int, str, str, dict[str, object]]) -> bytes:
    megapixels, mode, file_format, options = kind
    height = round((megapixels * 1e6 / 1.25) ** 0.5)
    return _encode(_noisy(1, (height, round(1.25 * height)), 0), mode, file_format, options)


def _noisy(seed: int, size: tuple[int, int], noise: float) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    phantom = Image.fromarray(chest_phantom(rng, pneumonia=bool(seed), size=(600, 750)))
    pixels = np.asarray(phantom.resize(size[::-1], Image.Resampling.BICUBIC), np.float32)
    if noise:
        pixels = pixels + rng.normal(0, noise, pixels.shape).astype(np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _encode(
    pixels: NDArray[np.uint8], mode: str, file_format: str, options: dict[str, object]
) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()
