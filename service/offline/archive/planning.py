"""The plan of this run: the one that is there, or a new one."""

import sys
import time
from typing import Final

from service.inference.loaded_model import ServedModel
from service.offline.archive.options import Options, Shard
from service.offline.archive.part_file import finished_parts
from service.offline.archive.plan import PLAN, Plan, PlanInvalid, check_plan, read_plan, write_plan
from service.offline.archive.storage import Folder, list_files
from service.offline.archive.summary import SUMMARY

_AWAIT_SECONDS: Final = 3600
"""How long a shard waits for the plan that shard 0 makes: listing millions of files takes long."""


def plan_run(
    sources: tuple[str, ...], folder: Folder, model: ServedModel, options: Options
) -> Plan:
    """Reads the plan, or lists the files and writes it.

    Raises:
        PlanInvalid: There is none and none can be made, or it is that of another run.
        OSError: The files cannot be listed, or the folder not be read or written.
    """
    if options.fresh:
        _forget(folder)
    plan = read_plan(folder)
    if plan is None and options.shard.index > 0:
        plan = _await_plan(folder, options.shard)
    if plan is None:
        print("Listing the files ...", file=sys.stderr)
        paths = (path for source in sources for path in list_files(source, folder.address))
        try:
            plan = write_plan(folder, paths, model, sources, options.part_size)
        except FileNotFoundError as missing:
            name = missing.filename or missing
            raise PlanInvalid(f"No such file or folder, or none that may be seen: {name}") from None
        if plan is None:
            raise PlanInvalid(f"No files in {', '.join(sources)}.")
    check_plan(plan, model, sources, folder.address)
    return plan


def _forget(folder: Folder) -> None:
    for name in folder.names():
        if name == SUMMARY or finished_parts({name}):
            folder.remove(name)
    folder.remove(PLAN)  # last: until then, it is a run that can go on


def _await_plan(folder: Folder, shard: Shard) -> Plan:
    print(f"Waiting for the plan, which shard 0/{shard.count} makes ...", file=sys.stderr)
    until = time.monotonic() + _AWAIT_SECONDS
    while time.monotonic() < until:
        if (plan := read_plan(folder)) is not None:
            return plan
        time.sleep(1)
    raise PlanInvalid(
        f"There is still no {PLAN} in {folder.address}. See why shard 0 does not make it."
    )
