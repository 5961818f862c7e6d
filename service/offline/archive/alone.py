"""Work whose items may kill the process that works on them: each is done in a process beside it."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_TRIES: Final = 2


@dataclass(frozen=True)
class Died:
    """An item that ended its process, each time.

    Attributes:
        status: How: the exit code, or the negative number of the signal.
    """

    status: int | None


def each_alone(work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer | Died]:
    """Answers each item in order; the process goes on to the next until one kills it.

    Args:
        work: Can be sent to another process, as can items and answers. Raises nothing.
        items: What to work on.
    """
    child: _Child | None = None
    try:
        for item in items:
            for _ in range(_TRIES):
                child = child or _Child(work)
                answer = child.ask(item)
                if not isinstance(answer, Died):
                    break
                child = None
            yield answer
    finally:
        if child:
            child.end()


class _Child:
    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locked locks
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(work, its_end), daemon=True)
        self._process.start()
        its_end.close()

    def ask(self, item: Any) -> Any:
        try:
            self._pipe.send(item)
            return self._pipe.recv()
        except (EOFError, OSError):
            self.end()
            return Died(self._process.exitcode)

    def end(self) -> None:
        self._pipe.close()
        self._process.join()


def _serve(work: Callable[[Any], Any], pipe: Connection) -> None:
    try:
        while True:
            pipe.send(work(pipe.recv()))
    except EOFError:  # that was all
        pass
