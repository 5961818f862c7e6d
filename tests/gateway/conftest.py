"""A gateway, a service and an archive, each running in this process."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import _config

from gateway.node import Gateway
from gateway.peers import Archive
from gateway.settings import Settings
from tests.gateway.fake_service import FakeService, fake_service
from tests.gateway.peers import FakeArchive, fake_archive

Started = Callable[..., Gateway]


@pytest.fixture(autouse=True)
def libraries_as_they_were() -> Iterator[None]:
    """The gateway sets up libraries for its whole process: here that is the tests' own."""
    chunked = _config.STORE_RECV_CHUNKED_DATASET, _config.STORE_SEND_CHUNKED_DATASET
    folder, level = tempfile.tempdir, logging.getLogger("pynetdicom").level
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    yield
    _config.STORE_RECV_CHUNKED_DATASET, _config.STORE_SEND_CHUNKED_DATASET = chunked
    tempfile.tempdir = folder
    logging.getLogger("pynetdicom").setLevel(level)


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service that answers."""
    with fake_service() as running:
        yield running


@pytest.fixture
def archive() -> Iterator[FakeArchive]:
    """An archive that keeps everything."""
    with fake_archive() as running:
        yield running


@contextmanager
def running(settings: Settings) -> Iterator[Gateway]:
    """Runs a gateway for the length of a block."""
    gateway = Gateway(settings)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture
def settings(tmp_path: Path, service: FakeService, archive: FakeArchive) -> dict[str, Any]:
    """Settings of a gateway between the two, which tries again at once."""
    return {
        "archive": Archive("ARCHIVE", "127.0.0.1", archive.port),
        "service": service.url,
        "port": 0,
        "health_port": 0,
        "spool": tmp_path / "spool",
        "spool_reserve": 1 << 20,
        "retry_seconds": 0.02,
        "retry_longest_seconds": 0.05,
    }


def settings_with(values: dict[str, Any]) -> Settings:
    """Settings of these values."""
    return Settings(**values)


@pytest.fixture
def start(settings: dict[str, Any]) -> Iterator[Started]:
    """Starts a gateway, with some settings changed; it stops after the test."""
    with ExitStack() as stack:

        def start_one(**changed: Any) -> Gateway:
            return stack.enter_context(running(settings_with(settings | changed)))

        yield start_one
