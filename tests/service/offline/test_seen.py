"""Which files there are rows about."""

from pathlib import Path

import pytest

from service.offline.seen import SeenPaths


def test_a_path_is_the_same_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = SeenPaths(["images/a.png"])
    for spelt in (
        "./images/a.png",
        "images//a.png",
        "b/../images/a.png",
        f"{tmp_path}/images/a.png",
    ):
        assert not seen.add(spelt)
    assert seen.add("images/b.png")
    assert not seen.add("./images/b.png")
    assert seen.add("images/.a.png")


def test_it_holds_many(tmp_path: Path) -> None:
    seen = SeenPaths(f"{number}.png" for number in range(1000))
    for number in range(150_000):
        assert seen.add(f"{number}.png") == (number >= 1000)
    assert len(seen) == 150_000
    assert not any(seen.add(f"{number}.png") for number in range(0, 150_000, 7))
