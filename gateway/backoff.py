"""Why a step fails, and how long to wait before it is tried again."""

import random
import threading


class Away(Exception):
    """The other side does not answer now, whatever the image.

    Attributes:
        retry_after: Seconds that it asked to wait; None where it said nothing.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Unsuccessful(Exception):
    """The step failed for this image; the message says why."""


def pause_after(tries: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failed tries: doubled each time, and spread a little.

    Args:
        tries: Failed tries so far, this one among them; at least 1.
        first: Seconds after the first.
        longest: Seconds at most.
    """
    return min(longest, first * 2.0 ** min(tries - 1, 40)) * random.uniform(0.8, 1.0)


class Outage:
    """What all threads of a step know together: whether the other side is away."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._lock = threading.Lock()
        self._tries = 0

    def failed(self, asked: float | None = None) -> float:
        """Notes a failure.

        Args:
            asked: Seconds that the other side asked to wait, if it did.

        Returns:
            Seconds to wait.
        """
        with self._lock:
            self._tries += 1
            own = pause_after(self._tries, self._first, self._longest)
        return own if asked is None else min(max(asked, own), self._longest)

    def over(self) -> None:
        """Notes that the other side answers."""
        with self._lock:
            self._tries = 0

    @property
    def lasts(self) -> bool:
        """Whether the last try failed."""
        return self._tries > 0
