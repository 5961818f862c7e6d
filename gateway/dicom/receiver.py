"""The receiving side of the DICOM node: C-ECHO and C-STORE, from those who may."""

import logging
import sqlite3
import ssl
import tempfile
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakSet

from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway import __version__
from gateway.dicom.connections import BoundedServer, bound
from gateway.dicom.radiographs import POSSIBLE, TRANSFER_SYNTAXES, is_radiograph
from gateway.results.identity import IMPLEMENTATION_UID
from gateway.settings import Settings
from gateway.spool.store import Spool
from gateway.telemetry.logging import hashed
from gateway.telemetry.metrics import Metrics

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_MISMATCH: Final = 0xA900

_OF_COMMAND: Final = 0x01
"""Bit of a fragment's header: a part of the command, not of the data (PS3.8, annex E.2)."""

# PS3.8, section 9.3.4: the result, its source, and the reason of a rejection.
_UNKNOWN_CALLER: Final = (0x01, 0x01, 0x03)
_UNKNOWN_CALLED: Final = (0x01, 0x01, 0x07)

_log = logging.getLogger(__name__)


class Receiver:
    """Listens for those who send images, and puts these into the spool."""

    _server: BoundedServer

    def __init__(self, settings: Settings, spool: Spool, metrics: Metrics) -> None:
        self._settings = settings
        self._spool = spool
        self._metrics = metrics
        self._refuses = settings.others == "refuse"
        self._titles = {settings.title, *settings.called_titles}
        self._overflowed: WeakSet[Any] = WeakSet()  # associations whose image has no room
        # Data sets go to disk as they come, into a folder of the spool: never whole into memory.
        _config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(spool.incoming)
        self._node = node = AE(ae_title=settings.title)
        node.implementation_class_uid = IMPLEMENTATION_UID
        node.implementation_version_name = f"CXRGATEWAY_{__version__}"[:16]
        node.maximum_associations = settings.associations
        node.maximum_pdu_size = settings.pdu_limit
        node.acse_timeout = settings.negotiation_seconds
        node.dimse_timeout = settings.message_seconds
        node.network_timeout = settings.idle_seconds
        node.require_called_aet = False  # there may be several: _on_request looks
        node.add_supported_context(Verification)
        every = [context.abstract_syntax for context in AllStoragePresentationContexts]
        for uid in POSSIBLE if self._refuses else every:
            node.add_supported_context(str(uid), list(TRANSFER_SYNTAXES))

    def start(self) -> tuple[str, int]:
        """Begins to listen.

        Returns:
            Address and port.

        Raises:
            OSError: The address cannot be listened on.
        """
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_ABORTED, self._on_abort),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_PDU_RECV, self._on_pdu),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._on_store),
        ]
        made = self._node.make_server(
            (self._settings.host, self._settings.port),
            ssl_context=_server_context(self._settings),
            evt_handlers=handlers,
            server_class=BoundedServer,
        )
        self._server = cast(BoundedServer, made)
        return self._server.server_address[:2]

    def serve(self) -> None:
        """Accepts connections until `stop_listening`; the thread's own."""
        self._server.serve_forever(poll_interval=0.2)

    def stop_listening(self) -> None:
        """Accepts no more connections; those that are open go on."""
        self._server.shutdown()

    def associations(self) -> int:
        """How many are open."""
        return len(self._server.active_associations)

    def stop(self) -> None:
        """Aborts what is still open."""
        for association in self._server.active_associations:
            association.abort()

    def _on_open(self, event: Any) -> None:
        bound(event.assoc.dul.socket, self._settings.pdu_limit)

    def _on_request(self, event: Any) -> None:
        """Rejects who is not on the list, and answers to each of the gateway's titles."""
        association = event.assoc
        request = association.requestor.primitive
        calling, called = str(request.calling_ae_title), str(request.called_ae_title).strip()
        address = str(association.requestor.address)
        if not any(one.is_named(calling) and one.is_at(address) for one in self._settings.callers):
            self._reject(association, _UNKNOWN_CALLER, "caller")
        elif called not in self._titles:
            self._reject(association, _UNKNOWN_CALLED, "called-title")

    def _reject(self, association: Any, reason: tuple[int, int, int], why: str) -> None:
        self._metrics.rejected.labels(why).inc()
        _log.warning(
            "association rejected", extra={"why": why, "from": association.requestor.address}
        )
        association.acse.send_reject(*reason)
        association.kill()

    def _on_abort(self, event: Any) -> None:
        _log.info("association aborted", extra={"caller": _caller(event)})

    def _on_close(self, event: Any) -> None:
        """Removes what connections that broke have left of images."""
        left = self._spool.unfinished()
        others = [one for one in self._server.active_associations if one is not event.assoc]
        self._spool.clear(left, 0 if not others else 2 * self._settings.idle_seconds)

    def _on_pdu(self, event: Any) -> None:
        """Lets an image's data go where the disk has no room: `_receive` says so then."""
        data = getattr(event.pdu, "presentation_data_value_items", ())
        size = sum(len(item.presentation_data_value) for item in data)
        if not data or self._spool.free_bytes() - size >= self._settings.spool_reserve:
            return
        for item in data:
            if not item.presentation_data_value[0] & _OF_COMMAND:
                item.presentation_data_value = item.presentation_data_value[:1]
                self._overflowed.add(event.assoc)

    def _on_echo(self, event: Any) -> int:
        return SUCCESS

    def _on_store(self, event: Any) -> int:
        """Says success once the image outlives a loss of power, or is of no interest."""
        image_uid = str(event.request.AffectedSOPInstanceUID)
        outcome, status = self._receive(event, image_uid)
        self._metrics.received.labels(outcome).inc()
        level = logging.INFO if status == SUCCESS else logging.WARNING
        facts = {"image": hashed(image_uid), "caller": _caller(event), "outcome": outcome}
        _log.log(level, "image received", extra=facts)
        return status

    def _receive(self, event: Any, image_uid: str) -> tuple[str, int]:
        """The name of what became of an image, and the status to answer."""
        file = Path(event.dataset_path)
        if event.assoc in self._overflowed:
            self._overflowed.discard(event.assoc)
            return "no-space", OUT_OF_RESOURCES
        if not is_radiograph(UID(event.request.AffectedSOPClassUID), file):
            return ("refused", DATA_SET_MISMATCH) if self._refuses else ("dropped", SUCCESS)
        try:
            if self._spool.knows(image_uid, again=self._settings.rescreen):
                return "repeated", SUCCESS
            self._spool.keep(file, image_uid, _caller(event))
        except (OSError, sqlite3.Error) as error:
            _log.error("spool cannot be written", exc_info=error)
            return "spool-broken", OUT_OF_RESOURCES
        return "kept", SUCCESS


def _caller(event: Any) -> str:
    return str(event.assoc.requestor.ae_title).strip()


def _server_context(settings: Settings) -> ssl.SSLContext | None:
    """How to speak TLS with those who send (PS3.15, B.12), if it is set.

    Raises:
        OSError: A file of the settings cannot be read, or holds no certificate.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    if settings.tls_authority is not None:
        context.load_verify_locations(settings.tls_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
