"""The gateway's log: no name, no UID, no pixel.

An image appears as a hash of its SOP Instance UID. What the DICOM libraries log themselves holds
values of images, and is left out.
"""

import hashlib
import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import Final, TextIO

from shared.runtime.log_lines import write_log_to

_SILENT: Final = ("pynetdicom", "pydicom", "highdicom", "httpx", "httpcore", "PIL")

_log = logging.getLogger(__name__)


def hashed(uid: str) -> str:
    """A UID as the log shows it: `printf %s UID | sha256sum | cut -c1-16`."""
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


def set_up_logs(style: str, level: str, stream: TextIO | None = None) -> None:
    """Sends all log lines to one stream, standard error by default.

    Args:
        style: "json", "text", or "auto": text where the stream is a terminal.
        level: "debug", "info", "warning" or "error".
        stream: Where to write.
    """
    write_log_to(stream, style, level)
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
