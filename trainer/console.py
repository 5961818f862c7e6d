"""What a run says on the terminal: labelled lines, and bars for long work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_WIDTH = 14


def say(label: str, text: str) -> None:
    """Print one line under a label in the left column."""
    tqdm.write(f"{label:<{_WIDTH - 1}} {text}", file=sys.stdout)
    sys.stdout.flush()


@contextmanager
def bar(label: str, unit: str = "image") -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar, on a terminal only.

    Yields:
        A function to call with (done, total).
    """
    with tqdm(
        desc=f"{label:<{_WIDTH - 2}}", unit=f" {unit}", leave=False, disable=not sys.stderr.isatty()
    ) as shown:

        def update(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield update


@contextmanager
def going_on_by(how: str) -> Iterator[None]:
    """Note on what stops the work, such as Ctrl-C, how to go on with it; the message of an error
    says itself what to do first."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        stop.add_note(how)
        raise


def duration(seconds: float) -> str:
    """A duration in words: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
