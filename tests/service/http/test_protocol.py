"""One connection, treated badly: raw sockets against the service."""

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from service.api import image_upload
from service.http import protocol, server, upload
from service.http.middleware import HEADERS_LIMIT, SECURITY_HEADERS, Edge
from service.screening.network_input import DecodingMemory
from shared.imaging.opened_image import OpenedImage
from tests.service.conftest import Start, logged, wait_until
from tests.service.http.connections import (
    HEAD,
    LENGTH,
    SCREEN,
    answer,
    answers,
    connection,
    slug,
    statuses,
)
from tests.service.tiny_bundle import NORMAL_LIKE, PNEUMONIA_LIKE


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (b"hello\r\n\r\n", "malformed-request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "malformed-request"),
        (HEAD + b"Content-Length: -1\r\n\r\n", "malformed-request"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "malformed-request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed-request"),
        (HEAD + b"X: " + b"a" * HEADERS_LIMIT + b"\r\n\r\n", "headers-too-large"),
        (HEAD + b"".join(b"X%d: a\r\n" % n for n in range(9000)) + b"\r\n", "headers-too-large"),
        (HEAD + b"X: " + b"a" * 200_000, "headers-too-large"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "headers-too-large"),
    ],
)
def test_what_is_no_reasonable_http_is_refused(
    client: httpx.Client, sent: bytes, wanted: str
) -> None:
    with connection(client) as connected:
        with contextlib.suppress(ConnectionError):
            connected.sendall(sent)
        received = answer(connected)
    # A client that is still sending when the service closes may lose the answer.
    if received or len(sent) < 2**16:
        assert slug(received) == wanted
        assert b"application/problem+json" in received
    assert client.get("/livez").status_code == 200


ID = b"X-Request-ID: order-17\r\n"


@pytest.mark.parametrize(
    ("sent", "wanted", "ours"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "malformed-request", False),
        (HEAD + ID + b"Content-Length: -1\r\n\r\n", "malformed-request", False),
        (HEAD + ID + b"X: " + b"a" * HEADERS_LIMIT + b"\r\n\r\n", "headers-too-large", True),
        (HEAD + ID + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed-request", True),
        (HEAD + ID + b"X", "upload-too-slow", False),
        (b"GET /livez HTTP/1.1\r\n" + ID + b"\r\n\x16\x03", "malformed-request", False),
    ],
    ids=["no HTTP", "bad length", "long header", "bad chunk", "dawdling", "after another"],
)
def test_a_refusal_without_the_application_is_an_answer_like_any(
    start: Start,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
    wanted: str,
    ours: bool,
) -> None:
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.2)
    client = start()
    with connection(client) as connected:
        connected.sendall(sent)
        head, _, body = answer(connected).rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["connection"] == "close"
    for name, value in SECURITY_HEADERS.items():
        assert headers[name.lower()] == value
    request_id = headers["x-request-id"]
    assert (request_id == "order-17") == ours
    assert json.loads(body)["request_id"] == request_id
    line = logged(log, request_id=request_id, outcome=wanted)
    assert line["status"] == int(head[:3])
    counted = f'xray_requests_total{{outcome="{wanted}",route="{line["route"]}"}} 1.0'
    assert counted in client.get("/metrics").text


@pytest.mark.parametrize(
    "body",
    [
        LENGTH + b"\r\n" + NORMAL_LIKE,
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(NORMAL_LIKE)
        + NORMAL_LIKE
        + b"\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
@pytest.mark.parametrize("cut", [10, 100, 200, 400])
def test_an_offer_of_http_2_is_declined_and_the_body_read(
    client: httpx.Client, body: bytes, cut: int
) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    request = HEAD + offer + body
    with connection(client) as connected:
        connected.sendall(request[:cut])
        time.sleep(0.02)
        connected.sendall(request[cut:])
        assert connected.recv(4096).startswith(b"HTTP/1.1 200")
        connected.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"alive" in answer(connected)


def test_headers_that_do_not_come_end_the_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.2)
    client = start()
    for sent in (b"", HEAD, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HT"):
        with connection(client) as connected:
            connected.sendall(sent)
            received = answer(connected)
            assert received.count(b"HTTP/1.1 408") == bool(sent)


def test_an_idle_connection_is_kept_then_closed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.2)
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 2)
    client = start()
    with connection(client) as connected:
        connected.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        connected.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        begun = time.monotonic()
        assert answer(connected).count(b"alive") == 2
        assert time.monotonic() - begun > 0.5


def test_a_stray_line_end_keeps_no_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some clients send one after a body (RFC 9112, section 2.2)."""
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 1)
    with connection(start()) as connected:
        connected.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        received = connected.recv(65536)
        connected.sendall(b"\r\n")
        connected.settimeout(10)
        assert b"alive" in received + answer(connected)


def test_an_upload_of_a_byte_now_and_then_is_cut_off(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PAUSE_SECONDS", 0.3)
    client = start()
    with connection(client) as connected:
        connected.sendall(HEAD + LENGTH + b"\r\nx")
        assert slug(answer(connected)) == "upload-too-slow"


def test_a_refused_upload_may_not_go_on_for_ever(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.3)
    client = start(body_limit=2000)
    with connection(client) as connected:
        connected.sendall(HEAD + b"Content-Length: 99999999\r\n\r\nx")
        begun = time.monotonic()
        assert slug(answer(connected)) == "upload-too-large"
        assert time.monotonic() - begun < 20


def test_an_image_that_waits_for_memory_is_not_decoded_for_a_caller_who_is_gone(
    start: Start, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    waits, there = threading.Event(), threading.Event()
    decoded: list[int] = []

    class Crowded(DecodingMemory):
        @contextlib.contextmanager
        def share(self, image: OpenedImage) -> Iterator[None]:
            waits.set()
            there.wait(30)
            with super().share(image):
                decoded.append(1)
                yield

    monkeypatch.setattr(image_upload, "DecodingMemory", Crowded)
    client = start(cores=1)
    with connection(client) as connected:
        connected.sendall(SCREEN)
        assert waits.wait(30)
    logged(log, outcome="client-gone")
    there.set()
    assert client.post("/predict", content=NORMAL_LIKE).status_code == 200
    assert len(decoded) == 1


def test_callers_who_hang_up_hold_nothing(start: Start) -> None:
    client = start()
    for _ in range(30):
        with connection(client) as connected:
            connected.sendall(HEAD + LENGTH + b"\r\n" + NORMAL_LIKE[:-1])
    for name in ("xray_upload_bytes", "xray_queue_depth", "xray_running"):
        wait_until(lambda name=name: f"{name} 0.0" in client.get("/metrics").text)  # type: ignore[misc]
    assert client.post("/predict", content=PNEUMONIA_LIKE).status_code == 200


def test_a_busy_service_refuses_before_the_body_is_sent(start: Start) -> None:
    client = start(cores=1, queue=1)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            held = stack.enter_context(connection(client))
            held.sendall(HEAD + LENGTH + b"\r\nx")
        wait_until(lambda: "xray_queue_depth 2.0" in client.get("/metrics").text)
        with connection(client) as connected:
            connected.sendall(HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n")
            received = connected.recv(4096)
    assert received.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in received
    assert b"100 Continue" not in received


@pytest.mark.parametrize(
    ("request_", "settings", "status"),
    [
        (HEAD + b"Content-Length: 17825792\r\n", {}, 413),
        (HEAD + LENGTH, {"api_keys": ("key",)}, 401),
        (HEAD + LENGTH + b"Content-Type: multipart/form-data\r\n", {}, 400),
        (HEAD.replace(b"/predict", b"/nothing") + LENGTH, {}, 404),
    ],
)
def test_a_refusal_before_100_continue_closes_the_connection(
    start: Start, request_: bytes, settings: dict[str, Any], status: int
) -> None:
    """The next request on it would be taken for the body (RFC 9110, section 10.1.1)."""
    client = start(**settings)
    for follows in (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", bytes(3_000_000)):
        with connection(client) as connected:
            connected.sendall(request_ + b"Expect: 100-continue\r\n\r\n")
            received = connected.recv(65536)
            with contextlib.suppress(ConnectionError):
                connected.sendall(follows)
            connected.shutdown(socket.SHUT_WR)
            received += answer(connected)
        assert statuses(received) == [status]
        assert b"\r\nconnection: close\r\n" in received
        assert json.loads(received.partition(b"\r\n\r\n")[2])["status"] == status


def test_an_upload_that_was_asked_for_keeps_the_connection(client: httpx.Client) -> None:
    with connection(client) as connected:
        for _ in range(2):
            connected.sendall(HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n")
            assert connected.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connected.sendall(NORMAL_LIKE)
            received = answers(connected, 1, b'"request_id"')
            assert statuses(received) == [200]
            assert b"connection: close" not in received


@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"1.1", b"1.0")])
def test_a_refusal_reaches_a_client_that_sends_on_before_it_reads(
    start: Start, head: bytes
) -> None:
    """nginx does so, over connections of one request; a reset would lose the answer."""
    client = start(body_limit=2000)
    with connection(client) as connected:
        connected.sendall(head + b"Connection: close\r\nContent-Length: 6000000\r\n\r\n")
        for _ in range(60):
            connected.sendall(bytes(100_000))
            time.sleep(0.001)
        assert slug(answer(connected)) == "upload-too-large"


def test_slow_uploads_do_not_fill_the_house(start: Start) -> None:
    """Places held by uploads that dawdle go to others after a second."""
    client = start(cores=1, queue=1)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            held = stack.enter_context(connection(client))
            held.sendall(HEAD + LENGTH + b"\r\nx")
        wait_until(lambda: client.post("/predict", content=NORMAL_LIKE).status_code == 200)


def test_a_client_that_does_not_read_is_dropped(start: Start) -> None:
    client = start(answer_seconds=1)
    with socket.socket() as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.connect(("127.0.0.1", client.base_url.port or 0))
        connected.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        time.sleep(3)
        connected.settimeout(30)
        assert len(answer(connected)) < 3_000_000


@pytest.mark.parametrize(
    "trailers",
    [b"".join(b"X%d: a\r\n" % n for n in range(40_000)), b"X: " + b"a" * 400_000],
    ids=["many", "long"],
)
def test_trailers_without_end_close_the_connection(client: httpx.Client, trailers: bytes) -> None:
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with connection(client) as connected:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            connected.sendall(HEAD + chunks + trailers)
        assert slug(answer(connected)) == "headers-too-large"
        assert time.monotonic() - begun < 8, "long before an upload is too slow"
    assert client.get("/livez").status_code == 200


def requests_seen(start: Start, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> list[list[bytes]]:
    """The names of the headers of each request, as the application sees them at its end."""
    seen: list[list[bytes]] = []
    call = Edge.__call__

    async def seeing(edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        await call(edge, scope, receive, send)
        if scope["type"] == "http":
            seen.append([name for name, _ in scope["headers"]])

    monkeypatch.setattr(Edge, "__call__", seeing)
    with connection(start(ready=False)) as connected:
        connected.sendall(sent)
        connected.recv(4096)
    wait_until(lambda: bool(seen))
    return seen


def test_the_application_sees_each_header_once_and_no_trailer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n"
    seen = requests_seen(start, monkeypatch, HEAD + offer + b"\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n")
    assert seen == [[b"host", b"connection", b"upgrade", b"transfer-encoding"]]


def test_a_bad_request_that_offers_another_protocol_is_refused_like_others(
    client: httpx.Client,
) -> None:
    bad = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n"
    with connection(client) as connected:
        connected.sendall(bad + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert slug(answer(connected)) == "malformed-request"
