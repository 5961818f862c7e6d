"""The sending side of the DICOM node: results to the archive by C-STORE, over one association."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, _config

from gateway import __version__
from gateway.backoff import Away, Unsuccessful
from gateway.results.identity import IMPLEMENTATION_UID
from gateway.settings import Settings

_STORED: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
"""Success, and the warnings with which an archive has kept the object (PS3.4, B.2.3)."""

_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)

_log = logging.getLogger(__name__)


class Sender:
    """Holds an association with the archive as long as there is something to send. One thread's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._association: Any = None
        _config.STORE_SEND_CHUNKED_DATASET = True
        self._node = node = AE(ae_title=settings.title)
        node.implementation_class_uid = IMPLEMENTATION_UID
        node.implementation_version_name = f"CXRGATEWAY_{__version__}"[:16]
        node.acse_timeout = settings.negotiation_seconds
        node.connection_timeout = settings.negotiation_seconds
        node.dimse_timeout = settings.message_seconds
        node.network_timeout = settings.idle_seconds
        for uid in (Comprehensive3DSRStorage, EnhancedSRStorage, SecondaryCaptureImageStorage):
            node.add_requested_context(uid, ImplicitVRLittleEndian)
        node.add_requested_context(SecondaryCaptureImageStorage, JPEGBaseline8Bit)

    def send(self, files: Sequence[Path]) -> None:
        """Sends files; on return the archive has said of each that it keeps it.

        Args:
            files: DICOM files: reports as Implicit VR Little Endian, pictures as JPEG Baseline.

        Raises:
            Away: There is no association to be had, or it broke, or the archive is full.
            Unsuccessful: The archive does not take one of the files.
        """
        for file in files:
            association = self._associated()
            self._check(self._store(association, file))

    def rest(self) -> None:
        """Releases the association: an archive has only so many."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def _associated(self) -> Any:
        if self._association is None or not self._association.is_established:
            archive = self._settings.archive
            self._association = self._node.associate(
                archive.host,
                archive.port,
                ae_title=archive.title,
                max_pdu=self._settings.pdu_limit,
                tls_args=_client_context(self._settings),
            )
            if not self._association.is_established:
                why = "rejected the association" if self._association.is_rejected else "is away"
                self._association = None
                raise Away(f"the archive {why}")
        return self._association

    def _store(self, association: Any, file: Path) -> Any:
        """Sends one file; the status that the archive answers, or an empty one."""
        accepted = {
            (str(context.abstract_syntax), str(syntax))
            for context in association.accepted_contexts
            for syntax in context.transfer_syntax
        }
        takes = {sop_class for sop_class, _ in accepted}
        meta = read_file_meta_info(file)
        sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        payload: Any = file
        if sop_class == Comprehensive3DSRStorage and self._sends_enhanced(takes):
            payload, sop_class = _as_enhanced(file), str(EnhancedSRStorage)
        elif syntax == JPEGBaseline8Bit and (sop_class, syntax) not in accepted:
            payload = _uncompressed(file)
        if sop_class not in takes:
            raise Unsuccessful(f"the archive takes no objects of class {sop_class}")
        try:
            return association.send_c_store(payload)
        except (RuntimeError, ValueError, OSError) as error:
            self._drop()
            raise Away(f"the association broke ({type(error).__name__})") from None

    def _sends_enhanced(self, takes: set[str]) -> bool:
        wanted: Literal["auto", "comprehensive3d", "enhanced"] = self._settings.report_class
        return wanted == "enhanced" or (wanted == "auto" and Comprehensive3DSRStorage not in takes)

    def _check(self, answer: Any) -> None:
        status = answer.get("Status") if answer else None
        if status is None:
            self._drop()
            raise Away("the archive gave no answer")
        if status in _STORED:
            return
        if status in _OUT_OF_RESOURCES:
            raise Away(f"the archive is out of resources (0x{status:04X})")
        raise Unsuccessful(f"the archive answered with status 0x{status:04X}")

    def _drop(self) -> None:
        if self._association is not None:
            self._association.abort()
        self._association = None


def _as_enhanced(file: Path) -> Any:
    """A report as an Enhanced SR document: its content uses nothing that this class lacks."""
    report = dcmread(file)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = EnhancedSRStorage
    return report


def _uncompressed(file: Path) -> Any:
    """A picture for an archive that takes no JPEG."""
    picture = dcmread(file)
    picture.decompress(as_rgb=True, generate_instance_uid=False)
    return picture


def _client_context(settings: Settings) -> tuple[ssl.SSLContext, str] | None:
    """How to speak TLS with the archive, if it is set."""
    if not settings.archive_tls:
        return None
    authority = settings.tls_authority
    context = ssl.create_default_context(cafile=authority)
    if settings.tls_certificate is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context, settings.archive.host
