"""uvicorn, told how to stop: first not ready, then nothing new, and what is in flight is
finished."""

import asyncio
import math
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.protocol import CalmProtocol
from service.resources import Resources
from service.settings import Settings


class CalmServer(uvicorn.Server):
    """A server that, told to stop, first says so: not ready, but still answering for a while."""

    def __init__(self, config: uvicorn.Config, shared: Resources, drain_seconds: float) -> None:
        super().__init__(config)
        self._shared = shared
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: load balancers get time to notice. Ctrl-C, or a second signal: stops now."""
        if sig == signal.SIGTERM and self.started and not self._shared.draining:
            self._shared.draining = True
            self._loop.call_soon_threadsafe(
                self._loop.call_later, self._drain_seconds, super().handle_exit, sig, frame
            )
        else:
            self._shared.draining = True
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finishes what is in flight; a signal that asked for it is no failure of the process."""
        await super().shutdown(sockets)
        self._captured_signals.clear()


def make_server(app: FastAPI, settings: Settings) -> CalmServer:
    """Makes the server; `run` serves until it is told to stop."""
    shared: Resources = app.state.resources
    fixed = {
        "header_seconds": settings.header_seconds,
        "reader_seconds": settings.answer_seconds,
        "metrics": shared.metrics,
    }
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=type("Protocol", (CalmProtocol,), fixed),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(settings.keep_alive_seconds),
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )
    return CalmServer(config, shared, settings.drain_seconds)
