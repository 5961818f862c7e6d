"""The two steps of an image's way: screening and delivery, each in threads of its own.

A step that does not succeed is made again later. While the other side is away all its images wait;
what goes wrong with one image makes that one wait. What does not succeed for a set time goes to the
list of failures.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from datetime import datetime
from typing import Final, final

from gateway.backoff import Away, Outage, Unsuccessful, pause_after
from gateway.dicom.sender import Sender
from gateway.results.capture import CAPTURE, build_capture
from gateway.results.content import presence
from gateway.results.identity import read_header
from gateway.results.instance import NOT_JUDGED
from gateway.results.report import REPORT, build_report
from gateway.screening_client import Answer, Refusal, ScreeningClient
from gateway.settings import Settings
from gateway.spool.ledger import Entry, Stage
from gateway.spool.store import Spool
from gateway.telemetry.logging import hashed
from gateway.telemetry.metrics import Metrics

_IDLE_SECONDS: Final = 2.0

OF_NO_CONCERN: Final = frozenset({"not-a-chest-xray", "dicom"})
"""Refusals that a person need not see: the image is none of those that the gateway is for."""

_log = logging.getLogger(__name__)


class Step(ABC):
    """One step of the way, for the images that are at a stage."""

    stage: Stage
    name: str

    def __init__(self, settings: Settings, spool: Spool, metrics: Metrics) -> None:
        self._settings, self._spool, self._metrics = settings, spool, metrics
        self._stopping = threading.Event()
        self.outage = Outage(settings.retry_seconds, settings.retry_longest_seconds)

    def stop(self) -> None:
        """Has `run` return after the image that is worked on."""
        self._stopping.set()

    @final
    def run(self) -> None:
        """Works on image after image until `stop`."""
        while not self._stopping.is_set():
            try:
                entry = self._spool.claim(self.stage, _IDLE_SECONDS)
                if entry is None:
                    self._rest()
                else:
                    self._attempt(entry)
            except Exception as error:  # noqa: BLE001  # the disk is full, say: the loop goes on
                _log.error("step failed", extra={"step": self.name}, exc_info=error)
                self._stopping.wait(self._settings.retry_seconds)
        self._rest()

    def _attempt(self, entry: Entry) -> None:
        try:
            self._take(entry)
        except Away as away:
            pause = self.outage.failed(away.retry_after)
            self._again(entry, str(away), pause, counts=False)
            self._stopping.wait(pause)
        except Unsuccessful as failed:
            self._again(entry, str(failed), self._pause(entry))
        except Exception as error:  # noqa: BLE001  # whatever an odd image makes a library raise
            facts = {"image": hashed(entry.image_uid), "step": self.name}
            _log.error("image failed", extra=facts, exc_info=error)
            self._again(entry, f"unexpected: {type(error).__name__}", self._pause(entry))
        else:
            self.outage.over()

    def _again(self, entry: Entry, reason: str, pause: float, counts: bool = True) -> None:
        """Has an image wait for its next try or, after too long a time, for a person."""
        if time.time() - entry.since > self._settings.give_up_seconds:
            self._give_up(entry, reason)
            return
        self._spool.postpone(entry, pause, counts)
        self._metrics.retries.labels(self.name).inc()
        facts = {"image": hashed(entry.image_uid), "why": reason, "seconds": round(pause, 1)}
        _log.warning(f"{self.name} will be tried again", extra=facts)

    def _give_up(self, entry: Entry, reason: str) -> None:
        self._spool.give_up(entry, reason)
        self._metrics.failures.labels(self.name).inc()
        facts = {"image": hashed(entry.image_uid), "why": reason}
        _log.error(f"{self.name} given up: see `python -m gateway failures`", extra=facts)

    def _pause(self, entry: Entry) -> float:
        settings = self._settings
        return pause_after(entry.tries + 1, settings.retry_seconds, settings.retry_longest_seconds)

    def _rest(self) -> None:  # noqa: B027  # not every step holds something
        """Lets go of what is held, as there is nothing to do."""

    @abstractmethod
    def _take(self, entry: Entry) -> None:
        """Does the step, and moves the image on. Raises Away, Unsuccessful."""


class Screening(Step):
    """Received → screened: asks the service, and writes down what it said."""

    stage = Stage.RECEIVED
    name = "screening"

    def __init__(
        self, settings: Settings, spool: Spool, metrics: Metrics, client: ScreeningClient
    ) -> None:
        super().__init__(settings, spool, metrics)
        self._client = client

    def _take(self, entry: Entry) -> None:
        if self._spool.free_bytes() < self._settings.spool_reserve / 2:
            raise Away("the spool's disk is full: results wait to be delivered")
        said = self._client.screen(self._spool.image(entry))
        if isinstance(said, Refusal):
            self._refused(entry, said)
        else:
            self._answered(entry, said)

    def _answered(self, entry: Entry, said: Answer) -> None:
        facts = {"image": hashed(entry.image_uid), "model": said.model_version}
        self._metrics.screened.labels(presence(said).lower()).inc()
        if self._spool.done_with(entry) == said.model_version:
            self._spool.forget(entry, said.model_version)
            _log.info("image unchanged: the same model has judged it before", extra=facts)
            return
        now = datetime.now().astimezone()
        header = read_header(self._spool.image(entry))
        results = {REPORT.name: build_report(header, said, now)}
        if said.picture is not None and said.heatmap is not None:
            results[CAPTURE.name] = build_capture(header, said, now)
        self._spool.screened(entry, said.model_version, results)
        _log.info("image screened", extra=facts)

    def _refused(self, entry: Entry, said: Refusal) -> None:
        self._metrics.refused.labels(said.reason).inc()
        facts = {"image": hashed(entry.image_uid), "reason": said.reason}
        _log.info("image refused by the service", extra=facts)
        if self._settings.report_refusals:
            header = read_header(self._spool.image(entry))
            document = build_report(header, said, datetime.now().astimezone())
            self._spool.screened(entry, NOT_JUDGED, {REPORT.name: document})
        elif said.reason in OF_NO_CONCERN:
            self._spool.forget(entry, NOT_JUDGED)
        else:
            self._give_up(entry, f"refused: {said.reason}")


class Delivery(Step):
    """Screened → delivered: sends the results to the archive, and forgets the image."""

    stage = Stage.SCREENED
    name = "delivery"

    def __init__(self, settings: Settings, spool: Spool, metrics: Metrics, sender: Sender) -> None:
        super().__init__(settings, spool, metrics)
        self._sender = sender

    def _take(self, entry: Entry) -> None:
        self._sender.send(self._spool.results(entry))
        self._spool.forget(entry, entry.model)
        self._metrics.delivered.inc()
        facts = {
            "image": hashed(entry.image_uid),
            "seconds": round(time.time() - entry.received, 2),
        }
        _log.info("results delivered", extra=facts)

    def _rest(self) -> None:
        self._sender.rest()
