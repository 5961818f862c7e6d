"""The spool: what it keeps, gives out and forgets."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.spool.ledger import Entry, Stage
from gateway.spool.store import Spool, SpoolInUse


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool")
    opened.own()
    yield opened
    opened.close()


def arrive(spool: Spool, uid: str, content: bytes = b"image") -> None:
    file = spool.incoming / "tmp1"
    file.write_bytes(content)
    spool.keep(file, uid, "MODALITY")


def claimed(spool: Spool, stage: Stage = Stage.RECEIVED) -> Entry:
    entry = spool.claim(stage, 0)
    assert entry is not None
    return entry


def test_an_image_goes_from_stage_to_stage_and_is_forgotten(spool: Spool) -> None:
    arrive(spool, "1.2.3", b"abc")
    entry = claimed(spool)
    assert (entry.image_uid, entry.caller, entry.stage) == ("1.2.3", "MODALITY", Stage.RECEIVED)
    assert spool.image(entry).read_bytes() == b"abc"
    spool.screened(entry, "model-1", {"report": b"r", "capture": b"c"})
    entry = claimed(spool, Stage.SCREENED)
    assert entry.model == "model-1"
    assert [path.read_bytes() for path in spool.results(entry)] == [b"r", b"c"]
    spool.forget(entry, entry.model)
    assert not spool.image(entry).exists()
    assert spool.results(entry) == []
    assert spool.depth() == {"received": 0, "screened": 0, "failed": 0}
    assert spool.knows("1.2.3")
    assert not spool.knows("1.2.3", again=True)
    assert spool.done_with(entry) == "model-1"


def test_an_image_is_given_to_one_thread_alone(spool: Spool) -> None:
    arrive(spool, "1.2.3")
    arrive(spool, "1.2.4")
    first, second = claimed(spool), claimed(spool)
    assert {first.image_uid, second.image_uid} == {"1.2.3", "1.2.4"}
    assert spool.claim(Stage.RECEIVED, 0) is None
    spool.postpone(second, 0, counts=True)
    assert claimed(spool).tries == 1


def test_a_postponed_image_comes_when_it_is_due(spool: Spool) -> None:
    arrive(spool, "1.2.3")
    spool.postpone(claimed(spool), 0.1, counts=False)
    assert spool.claim(Stage.RECEIVED, 0) is None
    begun = time.monotonic()
    entry = spool.claim(Stage.RECEIVED, 30)
    assert entry is not None
    assert entry.tries == 0
    assert time.monotonic() - begun < 20, "it waited for longer than the image did"


def test_failures_wait_for_a_person(spool: Spool) -> None:
    arrive(spool, "1.2.3")
    spool.give_up(claimed(spool), "refused: corrupt-image")
    assert spool.claim(Stage.RECEIVED, 0) is None
    [failed] = spool.failures()
    assert failed.failure == "refused: corrupt-image"
    assert spool.depth()["failed"] == 1
    assert spool.retry("9.9.9") == 0
    assert spool.retry("1.2.3") == 1
    assert claimed(spool).failure is None


def test_everything_is_there_after_the_process_died(tmp_path: Path) -> None:
    """A second object on the same folder sees what a first, never closed, has kept."""
    first = Spool(tmp_path / "spool")
    arrive(first, "1.2.3")
    claimed(first)
    second = Spool(tmp_path / "spool")
    second.own()
    assert claimed(second).image_uid == "1.2.3"
    second.close()
    first.close()


def test_what_an_earlier_process_left_half_done_is_removed(tmp_path: Path) -> None:
    first = Spool(tmp_path / "spool")
    arrive(first, "1.2.3")
    first.close()
    stray = [
        tmp_path / "spool" / name
        for name in (
            "incoming/tmp5.dcm",
            "images/00ff.dcm",
            "results/.00ff.0-report.dcm.5d1f.partial",
        )
    ]
    for path in stray:
        path.write_bytes(b"half")
    second = Spool(tmp_path / "spool")
    second.own()
    assert not [path for path in stray if path.exists()]
    assert spool_files(tmp_path) == 1
    second.close()


def spool_files(tmp_path: Path) -> int:
    return len(list((tmp_path / "spool" / "images").iterdir()))


def test_one_gateway_alone_works_on_a_spool(spool: Spool) -> None:
    with pytest.raises(SpoolInUse):
        Spool(spool.incoming.parent).own()


def test_old_images_are_forgotten_altogether(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", remember_seconds=0.01)
    for uid in ("1.2.3", "1.2.4"):
        arrive(spool, uid)
        spool.forget(claimed(spool), "model")
        time.sleep(0.02)
    assert not spool.knows("1.2.3")
    assert spool.knows("1.2.4")
    spool.close()


def test_no_one_else_may_look_into_it(spool: Spool) -> None:
    assert spool.incoming.parent.stat().st_mode & 0o077 == 0


def test_ending_ends_the_wait(spool: Spool) -> None:
    spool.end()
    begun = time.monotonic()
    assert spool.claim(Stage.RECEIVED, 60) is None
    assert time.monotonic() - begun < 30
