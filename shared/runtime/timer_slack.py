"""How exactly pauses end: less exactly, threads that look again and again wake together (Linux)."""

import ctypes
import sys
from typing import Final

_PR_SET_TIMERSLACK: Final = 29  # linux/prctl.h


def allow_slack(seconds: float) -> None:
    """Lets pauses of this thread, and of those that it starts, end so much later. See prctl(2).

    Args:
        seconds: More than 0. The system's own is 50 microseconds.
    """
    if sys.platform == "linux":
        slack = ctypes.c_ulong(round(seconds * 1e9))
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, slack, 0, 0, 0)
