"""A number of bytes that everything under way shares."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """Counts bytes that are taken and given back, from any thread.

    Attributes:
        total: How many bytes there are to take, all together.
        taken: How many are taken now.
        stuck: Who waits for bytes without anything of its own about to be given back, if anyone.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self.stuck: object = None
        self._room = threading.Condition()

    def try_take(self, amount: int) -> bool:
        """Takes `amount` bytes if they are there; never waits."""
        with self._room:
            if self.taken + amount > self.total:
                return False
            self.taken += amount
            return True

    def give_back(self, amount: int) -> None:
        """Gives `amount` bytes back."""
        with self._room:
            self.taken -= amount
            self._room.notify_all()

    @contextmanager
    def held(self, amount: int) -> Iterator[None]:
        """Holds `amount` bytes for the length of a block, waiting for them where that is needed.

        Raises:
            ValueError: More than the whole budget was asked for: waiting would never end.
        """
        if amount > self.total:
            raise ValueError(f"{amount} bytes asked of a budget of {self.total}")
        with self._room:
            self._room.wait_for(lambda: self.taken + amount <= self.total)
            self.taken += amount
        try:
            yield
        finally:
            self.give_back(amount)
