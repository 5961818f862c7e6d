"""The running gateway: its parts, started in order and stopped in order."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pydicom import config

from gateway.dicom.receiver import Receiver
from gateway.dicom.sender import Sender
from gateway.screening_client import ScreeningClient
from gateway.settings import Settings
from gateway.spool.store import Spool
from gateway.stages import Delivery, Screening, Step
from gateway.telemetry.health import health_server
from gateway.telemetry.metrics import Metrics
from shared.runtime.malloc import share_arenas
from shared.runtime.timer_slack import allow_slack

_GRACE_SECONDS: Final = 8.0
"""After SIGTERM, what is under way may take this long."""

_SLACK_SECONDS: Final = 0.004
"""pynetdicom's threads, two for an association, look a thousand times a second for what is new."""

_log = logging.getLogger(__name__)


class Gateway:
    """One gateway, from `start` to `stop`.

    Attributes:
        dicom: Address and port that it listens on for DICOM, once it was started.
        health: The same of its probes and metrics.
        spool: What it has not delivered yet.
    """

    dicom: tuple[str, int]
    health: tuple[str, int]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.spool = Spool(settings.spool, settings.remember_days * 86400)
        self.spool.own()
        self._metrics = Metrics(self.spool)
        self._receiver = Receiver(settings, self.spool, self._metrics)
        self._metrics.associations.set_function(self._receiver.associations)
        key = settings.service_key.get_secret_value() if settings.service_key else None
        self._client = ScreeningClient(
            str(settings.service), key, settings.service_seconds, settings.screenings
        )
        parts = (settings, self.spool, self._metrics)
        self._screening = Screening(*parts, self._client)
        self._deliveries = [Delivery(*parts, Sender(settings)) for _ in range(settings.deliveries)]
        self._health = health_server(
            (settings.health_host, settings.health_port),
            self._alive,
            self._ready,
            self._metrics.expose,
        )
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def start(self) -> None:
        """Listens and works, in threads.

        Raises:
            OSError: The address cannot be listened on.
        """
        self.dicom = self._receiver.start()
        host, port = self._health.server_address[:2]
        self.health = str(host), port
        self._run("health", self._health.serve_forever)
        for _ in range(self._settings.screenings):
            self._run(Screening.name, self._screening.run)
        for delivery in self._deliveries:
            self._run(Delivery.name, delivery.run)
        self._run("receiver", self._receiver.serve)
        facts = {
            "title": self._settings.title,
            "dicom": "{}:{}".format(*self.dicom),
            "health": "http://{}:{}".format(*self.health),
            **self.spool.depth(),
        }
        _log.info("gateway listens", extra=facts)

    def stop(self) -> None:
        """Takes nothing more, finishes what is under way, and closes."""
        self._stopping = True
        _log.info("gateway stops")
        deadline = time.monotonic() + _GRACE_SECONDS
        self._receiver.stop_listening()
        self._screening.stop()
        for delivery in self._deliveries:
            delivery.stop()
        self.spool.end()
        while self._receiver.associations() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._receiver.stop()
        self._health.shutdown()
        self._health.server_close()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        self._client.close()
        self.spool.close()

    def _run(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _alive(self) -> tuple[bool, dict[str, Any]]:
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return not dead or self._stopping, {"status": "dead" if dead else "alive", "ended": dead}

    def _ready(self) -> tuple[bool, dict[str, Any]]:
        """Ready to take images: the service and the archive may be away meanwhile."""
        space = self.spool.free_bytes() >= self._settings.spool_reserve
        ready = space and not self._stopping
        return ready, {
            "status": "ready" if ready else "not ready",
            "spool": "has space" if space else "has less space than GATEWAY_SPOOL_RESERVE",
            "service": _state(self._screening),
            "archive": _state(*self._deliveries),
        }


def _state(*steps: Step) -> str:
    return "away" if any(step.outage.lasts for step in steps) else "no failure seen"


def run_gateway(settings: Settings) -> None:
    """Runs a gateway until SIGTERM or SIGINT.

    Raises:
        OSError: An address cannot be listened on, or the spool's folder not be written.
        SpoolInUse: Another gateway works on the spool.
    """
    allow_slack(_SLACK_SECONDS)
    share_arenas(1)  # each would keep some of what was freed, or have its pages cleared again
    # What an image says is passed on as it is, whether it keeps to the standard or not.
    config.settings.reading_validation_mode = config.IGNORE
    config.settings.writing_validation_mode = config.IGNORE
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gateway = Gateway(settings)
    gateway.start()
    stop.wait()
    gateway.stop()
