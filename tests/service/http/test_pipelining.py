"""Requests sent ahead of the answer to an earlier one."""

import contextlib
import io
import json
import socket
import time
from typing import Any

import pytest

from service.api import image_upload
from service.http import protocol
from service.http.middleware import HEADERS_LIMIT
from service.screening.pipeline import Screening, screen
from tests.service.conftest import Start, logged
from tests.service.http.connections import (
    ALIVE,
    CHUNKED,
    HEAD,
    LENGTH,
    SCREEN,
    answer,
    answers,
    connection,
    slug,
    statuses,
)
from tests.service.tiny_bundle import NORMAL_LIKE


def screen_slowly(monkeypatch: pytest.MonkeyPatch, seconds: float = 1) -> None:
    def slowly(*arguments: Any) -> Screening:
        time.sleep(seconds)
        return screen(*arguments)

    monkeypatch.setattr(image_upload, "screen", slowly)


@pytest.mark.parametrize(
    ("after", "slugs"),
    [
        (b"\x16\x03\x01 is not HTTP\r\n\r\n", ["malformed-request"]),
        (b"GET http://[ HTTP/1.1\r\n\r\n", ["malformed-request"]),
        (HEAD + b"X: " + b"a" * 2 * HEADERS_LIMIT, ["headers-too-large"]),
        (HEAD + b"X: " + b"a" * HEADERS_LIMIT + b"\r\n\r\n" + HEAD, ["headers-too-large"]),
        (HEAD + b"Content-Length: -1\r\n\r\n", ["malformed-request"]),
        (CHUNKED + b"zz\r\n", ["malformed-request"]),
        (CHUNKED + b"1\r\nx\r\n0\r\nX: " + b"a" * 10 * HEADERS_LIMIT, ["headers-too-large"]),
        (CHUNKED + b"0\r\n\r\n" + CHUNKED + b"zz\r\n", ["no-file", "malformed-request"]),
        (b"GET /livez HTTP/1.1\r\nHo", ["upload-too-slow"]),
    ],
    ids=[
        "no HTTP",
        "bad address",
        "header without end",
        "long header",
        "bad length",
        "bad chunk",
        "trailers without end",
        "bad chunk of the third",
        "dawdling",
    ],
)
def test_what_follows_a_request_takes_nothing_from_its_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch, after: bytes, slugs: list[str]
) -> None:
    screen_slowly(monkeypatch)
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.2)
    client = start()
    with connection(client) as connected:
        connected.sendall(HEAD + LENGTH + b"\r\n" + NORMAL_LIKE)
        connected.sendall(after)
        answers = answer(connected).split(b"HTTP/1.1 ")[1:]
    assert answers[0].startswith(b"200 ")
    assert json.loads(answers[0].partition(b"\r\n\r\n")[2])["label"] == "NORMAL"
    assert [slug(refusal) for refusal in answers[1:]] == slugs
    assert client.get("/livez").status_code == 200


def test_requests_that_were_sent_ahead_are_answered_in_turn(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen_slowly(monkeypatch)
    end = ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connection(start()) as connected:
        connected.sendall(SCREEN + ALIVE * 200 + end)
        assert statuses(answer(connected)) == [200] * 202


def test_nothing_more_is_read_while_requests_wait(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads that wait behind others are not in memory: the client cannot send on."""
    screen_slowly(monkeypatch, 1)
    upload = HEAD + b"Content-Length: 250000\r\n\r\n" + bytes(250_000)
    with connection(start()) as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connected.setblocking(False)
        sent, waits = 0, SCREEN + upload * 100
        begun = time.monotonic()
        while time.monotonic() - begun < 0.7:
            with contextlib.suppress(BlockingIOError):
                sent += connected.send(waits[sent : sent + 65536])
            time.sleep(0.001)
        assert sent < 12_000_000, "what the sockets' own buffers hold"
        connected.settimeout(30)


def test_a_wait_that_is_the_services_own_is_not_held_against_the_client(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen_slowly(monkeypatch, 2.7)
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 1.5)
    with connection(start()) as connected:
        connected.sendall(SCREEN + ALIVE + ALIVE[:-2])
        received = answers(connected, 1, b"alive")  # until now, nothing was read
        time.sleep(0.9)
        connected.sendall(ALIVE[-2:])
        received += answers(connected, 1, b"alive")
    assert statuses(received) == [200] * 3


@pytest.mark.parametrize("begin", [1, 20, len(ALIVE) - 1])
def test_headers_are_not_held_to_be_as_long_as_the_body_before_them(
    start: Start, begin: int
) -> None:
    """The next request's first bytes come in the same piece as the end of a body."""
    upload = HEAD + b"Content-Length: 60000\r\n\r\n" + bytes(60_000)
    with connection(start()) as connected:
        connected.sendall(upload + ALIVE[:begin])
        received = answers(connected, 1, b'"request_id"')
        connected.sendall(ALIVE[begin:])
        received += answers(connected, 1, b"alive")
    assert statuses(received) == [415, 200]


def test_an_upload_behind_another_request_may_take_its_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen_slowly(monkeypatch)
    monkeypatch.setattr(protocol, "SENDING_SECONDS", 0.5)
    with connection(start()) as connected:
        connected.sendall(SCREEN + SCREEN[:-200])
        received = answers(connected, 1, b'"request_id"')
        for byte in range(-200, 0, 20):
            time.sleep(0.1)
            connected.sendall(SCREEN[byte : byte + 20 or None])
        received += answers(connected, 1, b'"request_id"')
    assert statuses(received) == [200, 200]


def test_a_bad_request_behind_another_is_logged_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    screen_slowly(monkeypatch)
    bad = HEAD + b"X-Request-ID: bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with connection(start()) as connected:
        connected.sendall(SCREEN + bad)
        assert statuses(answer(connected)) == [200, 400]
    assert logged(log, request_id="bad")["status"] == 400
