"""uvicorn, told how to stop: first not ready, then nothing new, and what is in flight is
finished."""

import asyncio
import errno
import math
import signal
import socket
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from service.dependencies import Resources
from service.http.middleware import HEADERS_LIMIT
from service.http.protocol import DeadlineProtocol
from service.settings import Settings
from shared.runtime.environment_settings import SettingsInvalid

KEEP_ALIVE_SECONDS: Final = 75
"""An idle connection is kept this long: longer than proxies keep theirs, which is a minute."""


class CalmServer(uvicorn.Server):
    """A server that, told to stop, first says so: not ready, but still answering for a while."""

    def __init__(self, config: uvicorn.Config, shared: Resources, drain_seconds: float) -> None:
        super().__init__(config)
        self._shared = shared
        self._drain_seconds = drain_seconds

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until it is told to stop.

        Raises:
            SettingsInvalid: It cannot listen on the address that is set; nothing was started.
        """
        await super().serve(sockets or await _listen(self.config))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to answer."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._log_started_message(sockets or [])  # uvicorn does not, of sockets it did not open

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


async def _listen(config: uvicorn.Config) -> list[socket.socket]:
    """Opens the sockets that uvicorn would, before it says that anything was started."""
    loop = asyncio.get_running_loop()
    try:
        bound = await loop.create_server(
            asyncio.Protocol, config.host, config.port, start_serving=False
        )
        sockets = [one.dup() for one in bound.sockets]
        bound.close()
        for one in sockets:
            one.listen(config.backlog)
    except (OSError, UnicodeError) as error:
        raise SettingsInvalid(_complaint(config, error)) from error
    return sockets


def _complaint(config: uvicorn.Config, error: OSError | UnicodeError) -> str:
    reason = str(getattr(error, "strerror", "no name of a machine")).rpartition(": ")[2]
    if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
        return (
            f"XRAY_PORT, or PORT: cannot listen on port {config.port} of {config.host}: {reason}; "
            "set a free port above 1023, or 0 for any that is free"
        )
    return (
        f"XRAY_HOST: cannot listen on {config.host!r}: {reason}; "
        "set an address of this machine, or 0.0.0.0 for all of them"
    )


def make_server(app: FastAPI, settings: Settings) -> CalmServer:
    """Makes the server; `run` serves until it is told to stop."""
    shared: Resources = app.state.resources
    fixed = {"reader_seconds": settings.answer_seconds, "metrics": shared.metrics}
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=type("Protocol", (DeadlineProtocol,), fixed),
        h11_max_incomplete_event_size=HEADERS_LIMIT,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )
    return CalmServer(config, shared, settings.drain_seconds)
