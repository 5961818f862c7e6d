"""Fixtures for every folder of tests."""

import os
from pathlib import Path

import pytest

from shared.imaging.hardening import harden

harden()  # as each program does when it starts

ROOT = Path(__file__).resolve().parent.parent

QUICK_TRAINING = [
    *("--epochs=1", "--no-test", "--limit=24", "--folds=2"),
    *("--sizes=64", "--fold-sizes=64", "--stem=8", "--widths=8-8-8-8", "--depth=1"),
    *("--refusal-images=8", "--resamples=20", "--samples=1"),
]
"""Options of `python -m trainer fit` for phantoms: the whole path, in seconds."""


TOGETHER = {
    "tests/trainer/commands/test_fit.py": "tiny_run",
    "tests/trainer/test_cli.py": "tiny_run",
    "tests/e2e/page/": "page",
}
"""Files that share what is dear, a training or a browser: one worker runs them all."""

LONGEST_FIRST = (*TOGETHER, "tests/trainer/", "tests/e2e/", "tests/deploy/", "tests/test_readme.py")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives a worker whole files, so that what a file shares is made once, the longest first."""

    def turn(item: pytest.Item) -> int:
        return [*map(item.nodeid.startswith, LONGEST_FIRST), True].index(True)

    items.sort(key=turn)
    for item in items:
        file = item.nodeid.partition("::")[0]
        alone = file.removeprefix("tests/").removesuffix(".py")
        group = next((name for path, name in TOGETHER.items() if file.startswith(path)), alone)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def xray_data() -> Path:
    """Folder of real X-rays that XRAY_DATA names, else ../shared/data; skips where it is absent."""
    path = Path(os.environ.get("XRAY_DATA") or ROOT / ".." / "shared" / "data").resolve()
    if not (path / "chest_xray").is_dir():
        pytest.skip(f"no real X-rays in {path}; name a folder of them in XRAY_DATA")
    return path
