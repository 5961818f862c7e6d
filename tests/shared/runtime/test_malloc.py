"""How much free memory the threads keep."""

import pytest

from shared.runtime import malloc

MIB = 2**20


class Recorder:
    """Stands in for the C library, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: dict[int, int] = {}

    def mallopt(self, option: int, value: int) -> None:
        self.told[option] = value


@pytest.mark.parametrize(("workers", "kept"), [(1, 16), (2, 16), (4, 8), (16, 4), (64, 4)])
def test_what_is_kept_is_shared_among_the_workers(
    workers: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    libc = Recorder()
    monkeypatch.setattr(malloc, "_libc", lambda: libc)
    malloc.keep_small_blocks(workers)
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    assert libc.told == {m_trim_threshold: kept * MIB, m_mmap_threshold: 4 * MIB}
