"""TLS on both sides, with certificates made for the test."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.peers import Archive
from tests.gateway.conftest import Started
from tests.gateway.fake_service import FakeService
from tests.gateway.peers import associate, fake_archive, store
from tests.gateway.radiographs import radiograph


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates: apt-get install openssl")
    made = {"cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=gateway", "-addext"]
    command += ["subjectAltName=IP:127.0.0.1", "-keyout", str(made["key"])]
    subprocess.run([*command, "-out", str(made["cert"])], check=True, capture_output=True)
    return made


def settings_of(certificate: dict[str, Path]) -> dict[str, Any]:
    cert, key = certificate["cert"], certificate["key"]
    return {"tls_certificate": cert, "tls_key": key, "tls_authority": cert}


def client_of(certificate: dict[str, Path], known: bool = True) -> Any:
    context = ssl.create_default_context(cafile=certificate["cert"])
    if known:
        context.load_cert_chain(certificate["cert"], certificate["key"])
    return context, "127.0.0.1"


def test_images_and_results_travel_over_tls(
    start: Started, service: FakeService, certificate: dict[str, Path]
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate["cert"], certificate["key"])
    with fake_archive(ssl_context=server) as archive:
        there = Archive("ARCHIVE", "127.0.0.1", archive.port)
        gateway = start(archive=there, archive_tls=True, **settings_of(certificate))
        image = radiograph(size=600)
        assert store(gateway.dicom[1], image, tls_args=client_of(certificate)) == [0x0000]
        archive.wait_for(2)


def test_who_has_no_certificate_or_speaks_no_tls_is_not_heard(
    start: Started, certificate: dict[str, Path]
) -> None:
    gateway = start(negotiation_seconds=2, **settings_of(certificate))
    unknown = client_of(certificate, known=False)
    assert not associate(gateway.dicom[1], tls_args=unknown).is_established
    assert not associate(gateway.dicom[1]).is_established
    known = associate(gateway.dicom[1], tls_args=client_of(certificate))
    assert known.is_established
    known.release()
