"""Kills gateway, service and archive at random while images are sent: is anything lost, or twice?

python -m tests.e2e.gateway.storm --images 300
"""

import argparse
import random
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.gateway.programs import Hospital, hospital
from tests.gateway.radiographs import radiograph, write


@dataclass(frozen=True)
class Outcome:
    """What was in the archive afterwards.

    Attributes:
        sent: Images that the gateway said success about.
        reports: Images that a report refers to, in the archive.
        captures: Images that a picture refers to, in the archive.
        objects: Objects of the gateway in the archive: more than both, if something came twice.
        kills: How often each program was killed.
        seconds: From the first image to the last delivery.
    """

    sent: int
    reports: int
    captures: int
    objects: int
    kills: dict[str, int]
    seconds: float


def storm(place: Hospital, images: int, pause: tuple[float, float], seed: int = 1) -> Outcome:
    """Sends images, each until the gateway takes it, while programs are killed one at a time.

    Args:
        place: The programs, running.
        images: How many.
        pause: Shortest and longest time between a program's return and the next kill, in seconds.
        seed: Decides which is killed when.
    """
    chance = random.Random(seed)
    kills = dict.fromkeys((program.name for program in place.programs), 0)
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(chance.uniform(*pause)):
            victim = chance.choice(place.programs)
            victim.kill()
            kills[victim.name] += 1
            ended.wait(chance.uniform(0, 1))
            victim.start()
            victim.wait_until_ready()

    files = [
        write(radiograph(seed=number % 20), place.folder / f"{number}.dcm")
        for number in range(images)
    ]
    begun = time.monotonic()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for file in files:
            while not place.send(file):
                time.sleep(0.2)
    finally:
        ended.set()
        killer.join()
    place.wait_until_delivered(600)
    reports, captures = place.objects("SR"), place.objects("OT")
    return Outcome(
        sent=len(files),
        reports=len({one["SOPInstanceUID"] for one in reports}),
        captures=len({one["SOPInstanceUID"] for one in captures}),
        objects=len(reports) + len(captures),
        kills=kills,
        seconds=time.monotonic() - begun,
    )


def main() -> None:
    """Runs a storm and says how it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 4.0), help="between kills, s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, hospital(Path(folder)) as place:
        print(storm(place, options.images, tuple(options.pause), options.seed))


if __name__ == "__main__":
    main()
