"""Screens an archive of any size: plans it, has its parts finished, and counts what was found.

    OUT/plan.parquet         what is screened, in which parts, by which model; written first
    OUT/part-00042.parquet   the rows of a part; there whole, or not there
    OUT/attempts/            parts that are begun
    OUT/summary.json         what was found; written last

Any process may be killed, and the same command goes on. Which engine has the parts finished makes
no difference to the files.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from tqdm import tqdm

from service.inference.loaded_model import ServedModel
from service.offline.archive.cluster import dask
from service.offline.archive.options import Options
from service.offline.archive.part_file import finished_parts, part_name
from service.offline.archive.plan import Plan, PlanInvalid
from service.offline.archive.planning import plan_run
from service.offline.archive.schedule import Opened, finish_parts, threads
from service.offline.archive.storage import S3, Folder, open_folder
from service.offline.archive.summary import Tally, tally_parts, write_summary
from service.offline.archive.worker import Worker
from service.offline.screener import Screener, load_model
from service.settings import Settings

EXIT_OK, EXIT_UNFINISHED, EXIT_INVALID, EXIT_INTERRUPTED = 0, 1, 2, 130

_NAMED: Final = 5
"""So many parts are named in a message."""


def screen_archive(sources: list[str], out: str, settings: Settings, options: Options) -> int:
    """Screens every file in the sources, and writes a row about each to Parquet files.

    Args:
        sources: Files and folders of this machine, or `s3://bucket/prefix`.
        out: Folder for the results, likewise. What is finished there is not screened again.
        settings: Which model, how many cores, how much memory; workers elsewhere have their own.
        options: How.

    Returns:
        The exit code: 0; 1 where parts are not finished, or the machine failed on some files; 2
        where nothing can be done as asked; 130 where the run was interrupted.
    """
    folder = open_folder(_whole(out))
    try:
        _check_installed(options)
        model = load_model(settings)
        if model is None:
            raise PlanInvalid(f"No model to screen with in {settings.models}.")
        plan = plan_run(tuple(map(_whole, sources)), folder, model, options)
        return _screen(plan, folder, model, settings, options)
    except PlanInvalid as wrong:
        print(wrong, file=sys.stderr)
        return EXIT_INVALID
    except OSError as error:
        print(
            f"{type(error).__name__}: {error}\nWhat is finished is kept. Run the same command "
            "again to go on.",
            file=sys.stderr,
        )
        return EXIT_UNFINISHED
    except KeyboardInterrupt:
        print(f"Stopped. Run the same command again to go on: {folder.address}", file=sys.stderr)
        return EXIT_INTERRUPTED


def _whole(address: str) -> str:
    """The address as it is from anywhere."""
    return address.rstrip("/") if address.startswith(S3) else str(Path(address).absolute())


def _check_installed(options: Options) -> None:
    try:
        import pyarrow.parquet  # noqa: F401 - said here, not halfway

        if options.scheduler:
            import distributed  # noqa: F401
    except ImportError as missing:
        extra = "cluster" if "pyarrow" in sys.modules else "archive"
        raise PlanInvalid(
            f"This needs {missing.name}, which is not installed: pip install '.[{extra}]'"
        ) from None


def _screen(
    plan: Plan, folder: Folder, model: ServedModel, settings: Settings, options: Options
) -> int:
    own = range(plan.parts)[options.shard.index :: options.shard.count]
    done = finished_parts(folder.names()).intersection(own)
    with (
        _progress(sum(map(plan.size, own)), sum(map(plan.size, done))) as screened,
        _engine(plan, folder, model, settings, options, screened) as engine,
    ):
        while True:
            todo = [number for number in own if number not in done]
            unfinished = finish_parts(todo, engine, options.patience)
            tally = tally_parts(folder, plan, [part for part in own if part not in unfinished])
            if unfinished or not tally.invalid:
                break
            for number in tally.invalid:  # left by a run that was here before
                folder.remove(part_name(number))
                screened(-plan.size(number))
            done = set(own).difference(tally.invalid)
    counts = ", ".join(f"{count} {what}" for what, count in tally.said.most_common())
    print(f"{folder.address}: {counts or 'nothing yet'}", file=sys.stderr)
    if unfinished:
        _say_unfinished(unfinished)
        return EXIT_UNFINISHED
    _summarise(folder, plan, tally)
    return _say_failed(tally)


@contextmanager
def _progress(total: int, initial: int) -> Iterator[Callable[[int], None]]:
    """Shows how many images are done, how fast, and how long the rest will take."""
    counting = Lock()
    pause = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, initial=initial, unit=" images", mininterval=pause, dynamic_ncols=True
    ) as bar:

        def screened(more: int) -> None:
            with counting:
                bar.update(more)

        yield screened


@contextmanager
def _engine(
    plan: Plan,
    folder: Folder,
    model: ServedModel,
    settings: Settings,
    options: Options,
    screened: Callable[[int], None],
) -> Iterator[Opened]:
    """What has the parts finished: a Dask scheduler where one is named, else threads."""
    if options.scheduler:
        yield partial(dask, options.scheduler, plan, folder.address, screened)
        return
    screener = Screener(model, settings)
    try:
        yield partial(threads, Worker(folder, plan, screener), screened)
    finally:
        screener.close()


def _summarise(folder: Folder, plan: Plan, tally: Tally) -> None:
    """Writes the summary, if all parts are finished: the last shard does."""
    parts = range(plan.parts)
    missing = plan.parts - len(finished_parts(folder.names()).intersection(parts))
    if not missing and sum(tally.said.values()) < plan.files:
        tally = tally_parts(folder, plan, parts)
        missing = len(tally.invalid)
    if missing:
        print(f"{missing} of {plan.parts} parts are left to other shards.", file=sys.stderr)
    else:
        write_summary(folder, plan, tally)


def _say_unfinished(unfinished: dict[int, str]) -> None:
    print(f"Not finished: {_names(list(unfinished))}", file=sys.stderr)
    for reason in list(dict.fromkeys(unfinished.values()))[:_NAMED]:
        print(f"  {reason}", file=sys.stderr)
    print("What is finished is kept. Run the same command again to go on.", file=sys.stderr)


def _say_failed(tally: Tally) -> int:
    if not tally.failed:
        return EXIT_OK
    print(
        f"The machine failed on some files, each time, in {_names(tally.failed)}; see `problem` "
        "and `detail`. Remove these parts and run the same command again to try them once more.",
        file=sys.stderr,
    )
    return EXIT_UNFINISHED


def _names(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(map(part_name, numbers[:_NAMED])) + more
