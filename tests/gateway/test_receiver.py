"""Whom the receiver listens to, and what it takes."""

import io
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from gateway.dicom.radiographs import TRANSFER_SYNTAXES
from gateway.peers import Caller
from tests.gateway.conftest import Started
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import FakeArchive, associate, eventually, store
from tests.gateway.radiographs import radiograph, write


def test_it_answers_to_an_echo(start: Started) -> None:
    association = associate(start().dicom[1])
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize(
    ("callers", "taken"),
    [
        ("MODALITY@127.0.0.1", True),
        ("*@127.0.0.0/8", True),
        ("OTHER@127.0.0.1", False),
        ("MODALITY@10.0.0.0/8", False),
        ("OTHER@127.0.0.1, MODALITY@127.0.0.1", True),
    ],
)
def test_only_known_callers_are_taken(start: Started, callers: str, taken: bool) -> None:
    gateway = start(callers=tuple(Caller.parse(one) for one in callers.split(",")))
    association = associate(gateway.dicom[1])
    assert association.is_established is taken
    assert association.is_rejected is not taken
    association.release()


@pytest.mark.parametrize(
    ("called", "taken"), [("CXRSCREEN", True), ("OTHER", True), ("ANY-SCP", False)]
)
def test_it_answers_to_its_titles_alone(start: Started, called: str, taken: bool) -> None:
    association = associate(start(called_titles=("OTHER",)).dicom[1], called=called)
    assert association.is_established is taken
    association.release()


def test_associations_are_limited(start: Started) -> None:
    gateway = start(associations=1)
    first = associate(gateway.dicom[1])
    assert associate(gateway.dicom[1]).is_rejected
    first.release()
    eventually(lambda: associate(gateway.dicom[1]).is_established)


def test_every_transfer_syntax_of_the_service_is_taken(start: Started) -> None:
    """One context each: a peer that offers several has the first chosen that it names."""
    pairs = [(DigitalXRayImageStorageForPresentation, syntax) for syntax in TRANSFER_SYNTAXES]
    association = associate(start().dicom[1], *pairs)
    taken = {one.transfer_syntax[0] for one in association.accepted_contexts}
    assert set(TRANSFER_SYNTAXES) <= taken
    association.release()


@pytest.mark.parametrize("sop_class", [CTImageStorage, SecondaryCaptureImageStorage])
def test_other_objects_are_taken_and_dropped(
    start: Started, service: FakeService, sop_class: Any
) -> None:
    gateway = start()
    image = radiograph(sop_class=sop_class, Modality="OT")
    assert store(gateway.dicom[1], image) == [0x0000]
    assert gateway.spool.unfinished() == []
    assert not any(gateway.spool.depth().values())


def test_a_radiograph_in_a_secondary_capture_is_one(start: Started, archive: FakeArchive) -> None:
    gateway = start()
    image = radiograph(sop_class=SecondaryCaptureImageStorage, Modality="CR")
    assert store(gateway.dicom[1], image) == [0x0000]
    archive.wait_for(2)


def test_the_gateways_own_results_are_not_screened(
    start: Started, service: FakeService, archive: FakeArchive
) -> None:
    """An archive that routes everything sends them back."""
    gateway = start()
    store(gateway.dicom[1], radiograph())
    for result in archive.wait_for(2):
        assert store(gateway.dicom[1], result) == [0x0000]
    assert len(service.asked) == 1
    assert not any(gateway.spool.depth().values())


def test_other_objects_are_refused_where_that_is_set(start: Started) -> None:
    gateway = start(others="refuse")
    association = associate(gateway.dicom[1], (CTImageStorage, ExplicitVRLittleEndian))
    assert CTImageStorage not in {one.abstract_syntax for one in association.accepted_contexts}
    association.release()
    capture = radiograph(sop_class=SecondaryCaptureImageStorage, Modality="OT")
    assert store(gateway.dicom[1], capture) == [0xA900]


def test_a_full_disk_is_said_and_nothing_is_kept(start: Started, service: FakeService) -> None:
    gateway = start(spool_reserve=1 << 60)
    assert store(gateway.dicom[1], radiograph(), radiograph()) == [0xA700, 0xA700]
    eventually(lambda: gateway.spool.unfinished() == [])
    assert not any(gateway.spool.depth().values())
    assert service.asked == []


def test_a_connection_that_breaks_leaves_nothing(start: Started) -> None:
    gateway = start()
    image = radiograph(size=1200)
    association = associate(
        gateway.dicom[1], (image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    )
    context = next(one for one in association.accepted_contexts if one.context_id != 1)
    connection = association.dul.socket.socket
    connection.sendall(_store_request(image, context.context_id))
    eventually(lambda: len(gateway.spool.unfinished()) == 1)
    connection.close()
    association.kill()
    eventually(lambda: gateway.spool.unfinished() == [])
    assert not any(gateway.spool.depth().values())


def test_a_pdu_that_is_longer_than_agreed_ends_the_connection(start: Started) -> None:
    gateway = start()
    association = associate(gateway.dicom[1])
    association.dul.socket.socket.sendall(struct.pack(">BBL", 0x04, 0, 0xFFFFFFF0))
    eventually(lambda: not association.is_established)
    eventually(lambda: gateway_is_free(gateway))


def test_a_connection_on_which_nothing_comes_is_closed(start: Started) -> None:
    gateway = start(idle_seconds=0.2, negotiation_seconds=0.2)
    with socket.create_connection(gateway.dicom, timeout=30) as connection:
        assert connection.recv(1) == b""


def gateway_is_free(gateway: Any) -> bool:
    """Whether a well-behaved peer is served."""
    association = associate(gateway.dicom[1])
    served = bool(association.is_established)
    association.release()
    return served


def _store_request(image: Any, context_id: int) -> bytes:
    """A C-STORE request and the beginning of its data, as PDUs (PS3.8, section 9.3.5)."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = image.SOPClassUID
    request.AffectedSOPInstanceUID = image.SOPInstanceUID
    request.DataSet = io.BytesIO(b"\0" * 10)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    command = encode(message.command_set, True, True)
    assert command is not None
    pdus = b""
    for header, content in ((b"\x03", command), (b"\x00", b"\0" * 5000)):
        value = struct.pack(">LB", len(content) + 2, context_id) + header + content
        pdus += struct.pack(">BBL", 0x04, 0, len(value)) + value
    return pdus


def test_images_arrive_as_they_were_sent(start: Started, tmp_path: Path) -> None:
    """Compressed pixels too: nothing is decoded on the way in."""
    image = radiograph()
    image.file_meta.TransferSyntaxUID = JPEG2000
    image.PixelData = (
        b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    )
    image["PixelData"].is_undefined_length = True
    image["PixelData"].VR = "OB"
    write(image, tmp_path / "sent.dcm")
    gateway = start(service="http://127.0.0.1:9/")
    assert store(gateway.dicom[1], image) == [0x0000]
    [kept] = (tmp_path / "spool" / "images").iterdir()
    assert (tmp_path / "sent.dcm").read_bytes()[-200:] == kept.read_bytes()[-200:]
