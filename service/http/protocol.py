"""One HTTP connection: uvicorn's over h11, with deadlines for what a client leaves undone.

uvicorn by itself waits for headers without end, reads what is left of a refused upload without
end, and keeps an answer without end for a client that does not read it. And it closes a connection
at once, which loses the answer where the client still sends.
"""

import asyncio
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http.middleware import HEADERS_DETAIL, SECURITY_HEADERS, note
from service.problems import Problem, respond
from service.telemetry.metrics import Metrics
from service.telemetry.request_record import observed

SENDING_SECONDS: Final = 10.0
"""A request's headers must arrive within this, and so must what is left of a refused upload."""


class LingeringTransport:
    """A transport that, closed while the client sends, still lets it read the answer.

    It says that nothing more will come, and drops what does come until the client closes too: a
    socket that is closed with bytes unread is reset, and the answer lost (RFC 9112, section 9.6).
    """

    def __init__(self, transport: asyncio.Transport, sending: Callable[[], bool]) -> None:
        self._transport = transport
        self._sending = sending
        self._until: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Closes: at once, or for a client that sends when it is done, or took too long."""
        if self._transport.is_closing() or self._until or not self._sending():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(SENDING_SECONDS, self._transport.abort)

    def is_closing(self) -> bool:
        """Whether nothing more is read or written."""
        return self._until is not None or self._transport.is_closing()

    def lost(self) -> None:
        """The connection is gone."""
        if self._until is not None:
            self._until.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class DeadlineProtocol(H11Protocol):
    """One connection, which holds nothing for a client that dawdles.

    Attributes:
        reader_seconds: How long a client may let an answer lie before it is dropped.
        metrics: Where requests are counted that are refused here.
    """

    reader_seconds: float
    metrics: Metrics
    _awaited: str | None = None
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers are awaited."""
        lingering = LingeringTransport(
            transport, lambda: self.conn.their_state in (h11.SEND_BODY, h11.ERROR)
        )
        super().connection_made(cast(asyncio.Transport, lingering))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        cast(LingeringTransport, self.transport).lost()
        self._await(None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived; those that come after an answer that closes are dropped."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """The answer is sent."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not read: it may do so for a while."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.reader_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP; the error that h11 raised is being handled."""
        if getattr(sys.exc_info()[1], "error_status_hint", 400) == HTTPStatus(431):
            self._refuse(Problem("headers-too-large", HEADERS_DETAIL))
        else:
            detail = "What arrived is not HTTP. Accepted is HTTP/1.1, for example: "
            self._refuse(Problem("malformed-request", f"{detail}curl -F file=@image.jpeg URL"))

    def _watch(self) -> None:
        """Sets a deadline for what the client has to send, if it is its turn to send."""
        if self.transport.is_closing():
            self._await(None)
        elif self.conn.their_state is h11.IDLE:
            idle = self.timeout_keep_alive_task is not None and not self.conn.trailing_data[0]
            self._await(None if idle else "headers")
        else:
            refused = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
            self._await("rest" if refused else None)

    def _await(self, what: str | None) -> None:
        """Begins to wait for something, unless that has begun already."""
        if what == self._awaited:
            return
        self._awaited = what
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if what is not None:
            then = self._too_slow if what == "headers" else self.transport.abort
            self._begun = self.loop.time()
            self._deadline = self.loop.call_later(SENDING_SECONDS, then)

    def _too_slow(self) -> None:
        """Ends a wait for headers: with an answer where some have come, else silently."""
        if self.conn.trailing_data[0]:
            detail = f"The headers did not arrive within {SENDING_SECONDS:g} s."
            self._refuse(Problem("upload-too-slow", detail))
        self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answers without the application, unless it has begun to, and closes the connection."""
        reading = self.conn.our_state is h11.SEND_RESPONSE  # then the application waits for more
        if reading or self.conn.our_state is h11.IDLE:
            scope: Scope = cast(Scope, self.scope) if reading else {"path": "/", "headers": []}
            observation, status = observed(scope), problem.kind.status
            observation.outcome, observation.status = problem.kind.slug, status
            response = respond(problem, scope["path"], observation.request_id)
            response.headers.update(SECURITY_HEADERS)
            response.headers.update({"X-Request-ID": observation.request_id, "Connection": "close"})
            self._send(status, response.raw_headers, bytes(response.body), scope.get("method"))
            if reading:  # the middleware counts and logs it
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            else:
                seconds = self.loop.time() - self._begun
                note(self.metrics, observation, "other", None, status, seconds)
        self.transport.close()

    def _send(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, method: str | None
    ) -> None:
        reason = HTTPStatus(status).phrase.encode()
        head = h11.Response(status_code=status, headers=headers, reason=reason)
        content = h11.Data(data=b"" if method == "HEAD" else body)
        for event in (head, content, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
