"""DICOM peers in process: an archive that keeps what it is sent, and a modality that sends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

RESULTS = (Comprehensive3DSRStorage, EnhancedSRStorage, SecondaryCaptureImageStorage)
PATIENCE = 30
"""Seconds to wait for what takes less than one: the machine may be busy."""


@dataclass
class FakeArchive:
    """What it was sent, and how it answers.

    Attributes:
        stored: The objects that it keeps, in order.
        status: What it answers to C-STORE.
        port: Where it listens.
    """

    stored: list[Dataset] = field(default_factory=list)
    status: int = 0x0000
    port: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int) -> list[Dataset]:
        """What it keeps, once that is so much."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.stored) >= count, PATIENCE), (
                f"{len(self.stored)} of {count} objects came"
            )
            return list(self.stored)

    def of_class(self, sop_class: str) -> list[Dataset]:
        """What it keeps of a SOP class."""
        return [one for one in self.stored if one.SOPClassUID == sop_class]


@contextmanager
def fake_archive(
    classes: tuple[str, ...] = RESULTS,
    port: int = 0,
    ssl_context: Any = None,
    syntaxes: tuple[str, ...] = (ImplicitVRLittleEndian,),
) -> Iterator[FakeArchive]:
    """Runs one on loopback, that takes these SOP classes in these transfer syntaxes."""
    archive = FakeArchive()

    def store(event: Any) -> int:
        with archive.changed:
            if archive.status == 0:
                dataset = event.dataset
                dataset.file_meta = event.file_meta
                archive.stored.append(dataset)
            archive.changed.notify_all()
            return archive.status

    node = AE(ae_title="ARCHIVE")
    for uid in classes:
        node.add_supported_context(uid, list(syntaxes))
    server: Any = node.start_server(
        ("127.0.0.1", port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, store)],
        ssl_context=ssl_context,
    )
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        server.shutdown()


def associate(port: int, *contexts: Any, called: str = "CXRSCREEN", **options: Any) -> Any:
    """An association with the gateway; `contexts` are pairs of SOP class and transfer syntax."""
    node = AE(ae_title=options.pop("calling", "MODALITY"))
    node.acse_timeout = node.dimse_timeout = node.network_timeout = PATIENCE
    node.add_requested_context(Verification)
    for sop_class, transfer_syntax in contexts:
        node.add_requested_context(sop_class, transfer_syntax)
    return node.associate("127.0.0.1", port, ae_title=called, **options)


def store(port: int, *images: Dataset, **options: Any) -> list[int]:
    """Sends images to the gateway; the statuses that it answers."""
    contexts = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in images}
    association = associate(port, *contexts, **options)
    assert association.is_established, "the gateway rejected the association"
    try:
        return [int(association.send_c_store(image).Status) for image in images]
    finally:
        association.release()


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)
