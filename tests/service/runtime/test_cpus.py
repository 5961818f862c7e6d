"""How many cores there are, and which thread has which."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from service.runtime.cpus import usable_cores
from service.runtime.worker_pool import Capacity


def test_cores_are_counted_by_the_containers_quota(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path) == 1


def test_cores_are_counted_by_the_older_quota_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == 1


def cores_of_workers(count: int) -> list[set[int]]:
    """The cores that each worker of a full house may use."""
    capacity = Capacity(cores=count, queue=0)
    together = threading.Barrier(count)

    def work() -> set[int]:
        together.wait(timeout=60)  # so that each is on a thread of its own
        return os.sched_getaffinity(0)

    async def run() -> list[set[int]]:
        return await asyncio.gather(*(capacity.run(work, seconds=60) for _ in range(count)))

    try:
        return asyncio.run(run())
    finally:
        capacity.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have cores of their own on Linux only")
def test_each_worker_keeps_a_core_where_the_service_has_them_all() -> None:
    allowed = os.sched_getaffinity(0)
    assert sorted(cores_of_workers(len(allowed)), key=min) == [{core} for core in sorted(allowed)]
    assert os.sched_getaffinity(0) == allowed
    if len(allowed) > 1:  # only a share of the machine: the system chooses, others want cores too
        assert cores_of_workers(len(allowed) - 1) == [allowed] * (len(allowed) - 1)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux only")
def test_a_system_that_forbids_priorities_and_cores_is_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError("not in this sandbox")

    monkeypatch.setattr(os, "setpriority", forbidden)
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    allowed = os.sched_getaffinity(0)
    assert cores_of_workers(len(allowed)) == [allowed] * len(allowed)
