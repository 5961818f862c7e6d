"""How the server stops; `tests/e2e` has the rest, with a process of its own."""

import signal
from pathlib import Path

from service.app import create_app
from service.http.server import make_server
from service.settings import Settings


def test_a_signal_that_comes_while_the_service_starts_stops_it(tiny_models: Path) -> None:
    settings = Settings(port=0, models=tiny_models)
    server = make_server(create_app(settings), settings)
    server.handle_exit(signal.SIGTERM, None)
    server.run()
    assert server.should_exit
