"""How many cores this process may use, which in a container is seldom what the machine has."""

import math
import os
from pathlib import Path

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
