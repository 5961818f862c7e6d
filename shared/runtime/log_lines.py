"""How every program writes its log: JSON for machines, plain text for a person at a terminal.

A line carries what the program says of itself, and the facts beside it. Of an unexpected error it
tells the type and the places in the code, never the values: those could come from an image.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message"}


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


def write_log_to(stream: TextIO | None, style: str, level: str) -> None:
    """Sends all log lines to one stream.

    Args:
        stream: Where to write; None is standard error.
        style: "json", "text", or "auto": text where the stream is a terminal.
        level: "debug", "info", "warning" or "error".
    """
    stream = stream or sys.stderr
    text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainText() if text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
