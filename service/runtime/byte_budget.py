"""A number of bytes that everything under way shares."""

import threading


class ByteBudget:
    """Counts bytes that are taken and given back, from any thread.

    Attributes:
        total: How many bytes there are to take, all together.
        taken: How many are taken now.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self._room = threading.Condition()

    def try_take(self, amount: int, seconds: float = 0) -> bool:
        """Takes `amount` bytes if they are there, or come back within so many seconds; blocks."""
        with self._room:
            if not self._room.wait_for(lambda: self.taken + amount <= self.total, max(0, seconds)):
                return False
            self.taken += amount
            return True

    def give_back(self, amount: int) -> None:
        """Gives `amount` bytes back."""
        with self._room:
            self.taken -= amount
            self._room.notify_all()
