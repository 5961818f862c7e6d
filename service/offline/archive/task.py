"""What goes from the driver by way of a Dask scheduler to a worker: plain values.

The scheduler imports this module too. It must stay small, and so this imports nothing.
"""

from typing import Any


def screen_part(plan: dict[str, Any], out: str, number: int) -> tuple[int, int, str]:
    """Screens a part of a run, on a worker.

    Args:
        plan: The fields of the `Plan`.
        out: Where the results go, as the worker sees it.
        number: The part.

    Returns:
        The fields of the `Outcome`.
    """
    from service.offline.archive.remote import screen_planned

    return screen_planned(plan, out, number)
