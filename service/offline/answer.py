"""What is said about one file, whatever becomes of it: a row, never an exception."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from service.inference.loaded_model import ServedModel
from service.offline.row import UNREADABLE, Row
from service.problems import Problem
from service.runtime.byte_budget import ByteBudget
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import screen

PASSING: Final = frozenset({UNREADABLE, "internal-error", "overloaded"})
"""Problems that are the machine's and not the image's: they are worth another try."""


def answer(path: str, model: ServedModel, budget: ByteBudget, read: Callable[[], bytes]) -> Row:
    """Screens one file. Blocks; safe to call from several threads at once.

    Args:
        path: What the row calls it.
        model: What to compute the answer with.
        budget: The memory that all who decode share.
        read: Gives its bytes; may raise `Problem` or `OSError`, which the row then tells.
    """
    try:
        return Row.of(path, screen(model, read(), DecodingMemory(budget)))
    except Problem as problem:
        return Row.refused(path, problem.kind.slug, problem.detail, model)
    except OSError as error:
        detail = error.strerror or _one_line(error) or "It cannot be read."
        return Row.refused(path, UNREADABLE, detail, model)
    except Exception as failure:  # noqa: BLE001 - one image in 100,000 must not end the run
        detail = f"The network failed on it: {type(failure).__name__}: {_one_line(failure)}"
        return Row.refused(path, "internal-error", detail, model)


def read_file(path: Path, admit: Callable[[int], None]) -> bytes:
    """The bytes of a file of this machine.

    Args:
        admit: Is told how many bytes there are before they are read, and may refuse them.

    Raises:
        Problem: `admit` refuses them.
        OSError: The system does not let it be read.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        next(path.iterdir(), None)  # says why it cannot be looked into
    admit(status.st_size)
    return path.read_bytes()


def check_size(limit: int, size: int) -> None:
    """Refuses files of more than `limit` bytes.

    Raises:
        Problem: `upload-too-large`.
    """
    if size > limit:
        raise Problem(
            "upload-too-large",
            f"The file has {size / 1e6:.1f} MB; accepted are {limit / 1e6:.1f} MB.",
        )


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())  # a line end would tear the row
