"""A connection of a client that does what it likes, byte by byte."""

import contextlib
import json
import socket
from collections.abc import Iterator

import httpx

from tests.service.tiny_bundle import NORMAL_LIKE

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(NORMAL_LIKE)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SCREEN = HEAD + LENGTH + b"\r\n" + NORMAL_LIKE
ALIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def connection(client: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as connected:
        connected.settimeout(30)
        yield connected


def answer(connected: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connected.recv(65536):
            received += piece
    return received


def answers(connected: socket.socket, count: int, end: bytes) -> bytes:
    """All that comes until so many answers ended so, or the service closes the connection."""
    received = b""
    while received.count(end) < count and (piece := connected.recv(65536)):
        received += piece
    return received


def slug(received: bytes) -> str:
    return str(json.loads(received.partition(b"\r\n\r\n")[2])["type"]).rpartition(":")[2]


def statuses(received: bytes) -> list[int]:
    return [int(head[:3]) for head in received.split(b"HTTP/1.1 ")[1:]]
