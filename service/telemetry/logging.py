"""The service's log: what may not reach it, and what is said elsewhere."""

import logging
from typing import Final, TextIO

from shared.runtime.log_lines import write_log_to

_SAID_ELSEWHERE: Final = (
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
    "No supported WebSocket library detected. Please use \"pip install 'uvicorn[standard]'\", or "
    "install 'websockets' or 'wsproto' manually.",
)
"""What uvicorn warns of; Java's client offers an upgrade to HTTP/2 with every request."""


def set_up_logs(style: str, level: str, stream: TextIO | None = None) -> None:
    """Sends all log lines to one stream, standard error by default.

    Args:
        style: "json", "text", or "auto": text where the stream is a terminal.
        level: "debug", "info", "warning" or "error".
        stream: Where to write.
    """
    write_log_to(stream, style, level)
    # Each such request has a line of its own.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg not in _SAID_ELSEWHERE)
    # At level debug, Pillow logs the metadata of every image, with its values.
    logging.getLogger("PIL").setLevel(logging.INFO)
