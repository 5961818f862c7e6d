"""How an archive is screened: what the command line says beside what and where."""

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import Final

PART_SIZE: Final = 500
PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Shard:
    """Every `count`-th part, from part `index` on; shard 0 of 1 is all of them."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads `I/N`, as in `3/8`; I counts from 0, like the index of a job's pods.

        Raises:
            ArgumentTypeError: It is something else; the message says what is accepted.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not int(found[1]) < int(found[2]):
            raise ArgumentTypeError(
                f"{text!r} is no shard; accepted is I/N with I from 0 to N - 1: 0/8"
            )
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Options:
    """How an archive is screened.

    Attributes:
        fresh: Whether to forget what is in the folder.
        part_size: How many files a part has; a plan that is there keeps its own.
        scheduler: The address of a Dask scheduler; None for the threads of this process.
        shard: Which parts.
        patience: Seconds without a finished part after which to give up.
    """

    fresh: bool = False
    part_size: int = PART_SIZE
    scheduler: str | None = None
    shard: Shard = Shard()
    patience: float = PATIENCE
