"""The cores: how many this process may use, which is seldom all, and which thread has which."""

import math
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Counts the cores that this process may use.

    The smaller of the CPU affinity and the container's quota, rounded up: half a core is one.

    Args:
        cgroup: Where the cgroup file system is mounted (v2, or v1 with a `cpu` controller).

    Returns:
        The number of cores, at least 1.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        allowed = os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """The quota in cores: `cpu.max` of cgroup v2, `cpu.cfs_*` of v1; None without one."""
    try:
        if (version_2 := cgroup / "cpu.max").exists():
            microseconds, period = version_2.read_text().split()
        else:
            microseconds = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        quota = float(microseconds) / float(period)
    except (OSError, ValueError):  # no cgroup here, or `max`: no quota
        return None
    return quota if quota > 0 else None


def one_core_each(workers: int) -> "SimpleQueue[int]":
    """The cores, one for each worker; none where the service has only a share of what there is."""
    cores: SimpleQueue[int] = SimpleQueue()
    if sys.platform == "linux" and len(allowed := os.sched_getaffinity(0)) == workers:
        for core in sorted(allowed):
            cores.put(core)
    return cores


def settle_worker(cores: "SimpleQueue[int]") -> None:
    """Gives the calling thread a lower priority than the event loop, and a core of its own.

    Refusals and probes must not wait for images. And a worker that the loop pushed aside would
    move to the other worker's core, away from what its own holds in its caches.

    Args:
        cores: Where it takes its core from; while there is none in it, it may use all.
    """
    if sys.platform == "linux":  # elsewhere, this would be the whole process
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it, which makes the thread no worse a worker
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + 5)
        with suppress(Empty, OSError):  # the cores may have become fewer
            os.sched_setaffinity(thread, {cores.get_nowait()})
