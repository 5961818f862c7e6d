"""One HTTP connection as uvicorn keeps it, made calm: deadlines, limits, and nothing lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, cast

import httptools
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from service.http.middleware import SECURITY_HEADERS, note
from service.problems import (
    HEADERS_TOO_LARGE,
    MALFORMED_REQUEST,
    OVERLOADED,
    UPLOAD_TOO_SLOW,
    Problem,
    respond,
)
from service.telemetry.metrics import Metrics
from service.telemetry.request_record import observed

HEADERS_LIMIT: Final = 32 * 1024
"""Bytes of a request's first line and headers, all together."""

MOST_WAITING: Final = 16
"""Requests of one connection that wait for an earlier one's answer."""

_HEADERS_DETAIL: Final = (
    f"The first line and the headers are longer than {HEADERS_LIMIT // 1024} KiB together. Send "
    "the image as the body, and nothing that long in a header."
)
_WAITING_DETAIL: Final = (
    f"{MOST_WAITING} requests of this connection wait for their answers, which is all that may. "
    "Send this one again, and those that came after it, when they have come."
)


class CalmFlow(FlowControl):
    """Reads nothing while requests wait that have been read already: they are kept in memory.

    The application asks for more to hear of a hang-up, and each time uvicorn would read on.
    """

    def __init__(self, transport: asyncio.Transport, full: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._full = full

    def resume_reading(self) -> None:
        """Reads on, unless requests wait."""
        if not self._full():
            super().resume_reading()


class CalmProtocol(HttpToolsProtocol):
    """One connection, which holds nothing for a client that dawdles.

    uvicorn waits for headers without end, lets them grow without end, queues requests without end,
    reads what is left of a refused upload without end, and keeps an answer without end for a client
    that does not read it. Here each of these has a limit.

    Attributes:
        header_seconds: How long to wait for headers, or for the end of a refused upload.
        reader_seconds: How long a client may let an answer lie before it is dropped.
        metrics: Where requests are counted that are refused here.
    """

    header_seconds: float
    reader_seconds: float
    metrics: Metrics
    _unread: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _elsewhere = 0
    """Bytes of the piece at hand that are known not to be of the headers that come in."""
    _since_body = 0
    _again = False
    _answering: RequestResponseCycle | None = None
    """The latest request that was handed to the application; those behind it wait."""
    _ending: Callable[[], None] | None = None
    """What is done once all that came before is answered; from then on nothing more is read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first headers are awaited."""
        super().connection_made(transport)
        self.flow = CalmFlow(transport, lambda: bool(self.pipeline) and not self._ending)
        super().on_message_begin()  # what is no HTTP may not even begin one
        self._begun = self.loop.time()
        self._head_bytes = 0
        self._in_head = True
        self._in_body = False
        self._deadline = self.loop.call_later(self.header_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._deadline.cancel()
        self.resume_writing()
        self.pipeline.clear()
        if self._answering is not None:  # uvicorn tells the latest request alone
            self._answering.disconnected = not self._answering.response_complete
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._ending:
            return
        self._since_body += len(data)
        self._elsewhere = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            with suppress(httptools.HttpParserError):
                self._decline_upgrade()
                self.data_received(data[upgrade.args[0] :])
                return
            self.send_400_response("What arrived is not HTTP.")
            return
        except httptools.HttpParserError:
            self.send_400_response("What arrived is not HTTP.")
            return
        if self._in_head or self._in_body or not self.cycle.response_complete:
            self._unset_keepalive_if_required()  # not for a stray line end, which begins nothing
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += max(1, len(data) - self._elsewhere)
            if self._head_bytes > HEADERS_LIMIT:
                self._end(Problem(HEADERS_TOO_LARGE, _HEADERS_DETAIL))
        elif self._in_body and self._since_body > HEADERS_LIMIT:
            self._end()  # trailers, or a chunk's extensions, of which nothing is made

    def on_message_begin(self) -> None:
        """A request begins; the wait for its headers begins anew."""
        if self._again:
            return
        super().on_message_begin()
        self._begun = self.loop.time()
        self._in_head, self._head_bytes = True, 0
        self._await(self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is dropped (RFC 9110, section 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are here; the application reads the body, under its own deadlines."""
        if self._again:
            return
        self._since_body = 0
        self._deadline.cancel()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._elsewhere += size
        if size > HEADERS_LIMIT:
            self._end(Problem(HEADERS_TOO_LARGE, _HEADERS_DETAIL))
        elif len(self.pipeline) == MOST_WAITING:
            self._end(Problem(OVERLOADED, _WAITING_DETAIL, {"Retry-After": "1"}))
        if self._ending:
            raise ValueError("the parser is not to go on")
        super().on_headers_complete()
        self._in_head, self._in_body = False, True

    def on_body(self, body: bytes) -> None:
        """A piece of the upload."""
        self._since_body = 0
        self._elsewhere += len(body)
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.parser.should_upgrade():  # httptools takes the body for another protocol's
            return
        self._in_body = False
        self._deadline.cancel()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is sent; where the upload goes on regardless, it may not do so for long.

        The wait for the next headers begins anew, where some of them came meanwhile.
        """
        answered = not self.pipeline
        super().on_response_complete()
        if self._ending and answered:
            self._ending()
        elif self._in_body and answered:  # else the upload is the next request's
            self._await(self._close)
        elif self._in_head:  # while answers were waited for, it may not have been read
            self._await(self._too_slow)

    def _decline_upgrade(self) -> None:
        """Goes on with HTTP/1.1, body included, where a client offers another protocol.

        Java's HttpClient offers HTTP/2 with every request; a server may ignore that (RFC
        9110, section 7.8), but httptools then skips the body. A second parser reads the same
        headers without the offer, unheard, and goes on from there.
        """
        url = self.url
        kept = [pair for pair in self.headers if pair[0] not in (b"upgrade", b"connection")]
        lines = [b"%s: %s\r\n" % pair for pair in kept]
        self.parser = httptools.HttpRequestParser(self)
        self._again = True
        self.parser.feed_data(b"".join([b"POST / HTTP/1.1\r\n", *lines, b"\r\n"]))
        self._again = False
        self.url = url

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
        """Refuses what is not HTTP."""
        detail = f"{msg} Accepted is HTTP/1.1, for example: curl -F file=@image.jpeg URL"
        self._end(Problem(MALFORMED_REQUEST, detail))

    def _await(self, then: Callable[[], None]) -> None:
        self._deadline.cancel()
        self._deadline = self.loop.call_later(self.header_seconds, then)

    def _too_slow(self) -> None:
        """Ends a wait for headers: with an answer where some have come, silently where none did.

        While requests wait, nothing is read, and the client is not to blame.
        """
        if self.pipeline:
            self._await(self._too_slow)
            return
        detail = f"The headers did not arrive within {self.header_seconds:g} s."
        self._end(Problem(UPLOAD_TOO_SLOW, detail) if self._head_bytes else None)

    def _end(self, problem: Problem | None = None) -> None:
        """Reads nothing more, answers without the application, and closes the connection.

        Earlier requests are answered first: their callers would take this answer for theirs.

        Args:
            problem: What is wrong with the request that is coming in; None closes without a word.
        """
        if self._ending:
            return
        self._deadline.cancel()
        waits = self.cycle is not None and not self.cycle.response_complete
        if not (self._in_head or self._in_body):  # what is no HTTP does not even begin a message
            super().on_message_begin()
            self._begun = self.loop.time()
        if self._in_body:  # the latest request itself is wrong, and not the one that follows it
            waits = bool(self.pipeline)
            if waits:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                problem = None
        self._in_body = False
        self._ending = partial(self._say, problem)
        if waits:
            self.flow.resume_reading()  # and drop it: a client whose bytes lie unread loses answers
        else:
            self._ending()

    def _say(self, problem: Problem | None) -> None:
        if problem is not None and not self.transport.is_closing():
            scope, status = cast(Scope, self.scope), problem.kind.status
            observation = observed(scope)
            observation.outcome, observation.status = problem.kind.slug, status
            response = respond(problem, scope.get("path", "/"), observation.request_id)
            response.headers.update(SECURITY_HEADERS)
            response.headers.update({"X-Request-ID": observation.request_id, "Connection": "close"})
            head = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
            self.transport.write(
                b"".join([STATUS_LINE[status], *head, b"\r\n", bytes(response.body)])
            )
            if self._answering is None or self._answering.scope is not scope:  # else the edge does
                seconds = self.loop.time() - self._begun
                note(self.metrics, observation, "other", scope.get("method"), status, seconds)
        self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
