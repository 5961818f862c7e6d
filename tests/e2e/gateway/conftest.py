"""A gateway with real peers, for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.e2e.gateway.programs import Hospital, hospital, require_peers


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Gateway, service and archive, running."""
    require_peers()
    with hospital(tmp_path_factory.mktemp("hospital")) as running:
        yield running
