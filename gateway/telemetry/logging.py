"""Log lines: JSON for machines, plain text for a person at a terminal. No name, no UID, no pixel.

An image appears as a hash of its SOP Instance UID. Of an unexpected error a line tells the type and
the places in the code, never its values: those could come from an image. What the DICOM libraries
log themselves holds such values, and is left out.
"""

import hashlib
import json
import logging
import sys
import threading
import traceback
import warnings
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}
_SILENT: Final = ("pynetdicom", "pydicom", "highdicom", "httpx", "httpcore", "PIL")

_log = logging.getLogger(__name__)


def hashed(uid: str) -> str:
    """A UID as the log shows it: `printf %s UID | sha256sum | cut -c1-16`."""
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        frames = traceback.extract_tb(error.__traceback__)
        facts["error"] = type(error).__name__
        facts["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return facts


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Renders a record."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_facts(record),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainText(logging.Formatter):
    """A line that a person can read."""

    def format(self, record: logging.LogRecord) -> str:
        """Renders a record."""
        facts = "".join(f"  {key}={value}" for key, value in _facts(record).items())
        return f"{_time(record)[11:19]} {record.levelname.lower():7} {record.getMessage()}{facts}"


def set_up_logs(style: str, level: str, stream: TextIO | None = None) -> None:
    """Sends all log lines to one stream, standard error by default.

    Args:
        style: "json", "text", or "auto": text where the stream is a terminal.
        level: "debug", "info", "warning" or "error".
        stream: Where to write.
    """
    stream = stream or sys.stderr
    text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainText() if text else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")  # pydicom's show the value that they are about
    threading.excepthook = _thread_failed
    sys.excepthook = _failed


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        _log.error("thread ended by an error", exc_info=failure.exc_value)


def _failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("gateway ended by an error", exc_info=(kind, error, trace))
