"""The server's side of TCP and TLS: bounded in number, in the size of a PDU, and in time.

pynetdicom bounds neither connections that never ask for an association, nor what a PDU says that it
is long, nor how long the rest of a PDU may take; and it shakes hands (TLS) with one peer at a time.
"""

import socket
import ssl
from socketserver import BaseServer
from typing import Any, Final

from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import ThreadedAssociationServer

_PIECE: Final = 1 << 18
_PDU_HEADER: Final = 6
_SPARE: Final = 2
"""Connections that may be open without an association, for each that may have one."""


class _SharedContexts(list[PresentationContext]):
    """What is accepted, told to each association: pynetdicom copies it all, and changes nothing."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[PresentationContext]:
        return list(self)


class BoundedServer(ThreadedAssociationServer):
    """Refuses connections beyond its bounds, and waits for none longer than the idle time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.contexts = _SharedContexts(self.contexts)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection; its TLS handshake takes place in its own thread."""
        listening: Any = self.socket
        connection, address = listening.accept()
        connection.settimeout(self.ae.network_timeout)
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection."""
        return len(self.active_associations) < _SPARE * self.ae.maximum_associations

    def shutdown(self) -> None:
        """Accepts no more connections; those that are open go on."""
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks before it is one is no news."""


def bound(connection: Any, pdu_limit: int) -> None:
    """Has a connection end where a PDU says that it is longer than was agreed.

    Args:
        connection: pynetdicom's socket of an association.
        pdu_limit: Bytes of a PDU, without its header.
    """

    def receive(count: int) -> bytearray:
        if count > max(pdu_limit, _PDU_HEADER):
            raise OSError("the PDU is longer than was agreed")
        return _receive(connection.socket, count)

    connection.recv = receive


def _receive(stream: socket.socket, count: int) -> bytearray:
    """Reads so many bytes, or what came before the end."""
    buffer = bytearray(count)
    view, read = memoryview(buffer), 0
    try:
        while read < count:
            got = stream.recv_into(view[read : read + _PIECE])
            if not got:
                break
            read += got
    except ssl.SSLError as error:
        raise OSError(str(error)) from None
    finally:
        view.release()
    del buffer[read:]
    return buffer
