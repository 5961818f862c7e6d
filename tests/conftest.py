"""Fixtures for every folder of tests."""

import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from shared.imaging.hardening import harden

harden()  # as each program does when it starts

ROOT = Path(__file__).resolve().parent.parent

QUICK_TRAINING = [
    *("--epochs=1", "--no-test", "--limit=24", "--folds=2"),
    *("--sizes=64", "--stem=8", "--widths=8-8-8-8", "--depth=1"),
    *("--refusal-images=0", "--resamples=20", "--samples=1"),
]
"""Options of `python -m trainer fit` for phantoms: what is published refuses no image."""


TOGETHER = {
    "tests/trainer/commands/test_fit.py": "tiny_run",
    "tests/trainer/test_cli.py": "tiny_run",
    "tests/e2e/page/": "page",
}
"""Files that share what is dear, a training or a browser: one worker runs them all."""

LONGEST_FIRST = (*TOGETHER, "tests/trainer/", "tests/e2e/", "tests/deploy/", "tests/test_readme.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what takes longest, or one worker would end long after the others."""

    def turn(item: pytest.Item) -> int:
        return [*map(item.nodeid.startswith, LONGEST_FIRST), True].index(True)

    items.sort(key=turn)


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """Gives a worker whole files, so that what a file shares is made once."""

    def _split_scope(self, nodeid: str) -> str:
        """What is given as one; the groups of pytest-xdist 3.8 are none under pytest 9.2."""
        file = str(super()._split_scope(nodeid))
        return next((name for path, name in TOGETHER.items() if file.startswith(path)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFiles:
    return WholeFiles(config, log)


@pytest.fixture(scope="session")
def xray_data() -> Path:
    """Folder of real X-rays that XRAY_DATA names, else ../shared/data; skips where it is absent."""
    path = Path(os.environ.get("XRAY_DATA") or ROOT / ".." / "shared" / "data").resolve()
    if not (path / "chest_xray").is_dir():
        pytest.skip(f"no real X-rays in {path}; name a folder of them in XRAY_DATA")
    return path
