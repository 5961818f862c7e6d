"""Screens files and folders of any size without HTTP: `python -m service screen`.

All cores work; at any time only a few images are in memory. Results are written in order, a row a
file, so that a run that was stopped goes on where it left off.
"""

import os
import stat
import sys
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from service.inference.loaded_model import ServedModel
from service.inference.model_watcher import Engine
from service.offline.lock import Locked
from service.offline.results import Results, ResultsInvalid
from service.offline.row import UNREADABLE, Row
from service.problems import INTERNAL, UPLOAD_TOO_LARGE, Problem
from service.runtime.byte_budget import ByteBudget
from service.runtime.malloc import keep_small_blocks
from service.screening.network_input import DecodingMemory
from service.screening.pipeline import screen
from service.settings import Settings
from shared.imaging.hardening import harden

EXIT_OK, EXIT_INVALID, EXIT_INTERRUPTED = 0, 2, 130

_SKIPPED_FOLDERS = frozenset({"__MACOSX"})


def screen_folders(paths: list[Path], out: Path, settings: Settings, fresh: bool) -> int:
    """Screens every file in the paths and writes a row about each.

    Args:
        paths: Files and folders; folders with all that is in them, but hidden files.
        out: Where to write, `.csv` or `.jsonl`; what it holds already is not screened again.
        settings: Which model, how many cores, how much memory.
        fresh: Whether to write the file anew.

    Returns:
        The exit code: 0; 2 where nothing can be done; 130 where the run was interrupted.
    """
    keep_small_blocks(settings.cores)
    harden()
    engine = Engine(settings.models)
    engine.look()
    if engine.complaint is not None:
        print(f"Warning: {engine.complaint}", file=sys.stderr)
    if engine.model is None:
        return _fail(f"No model to screen with in {settings.models}.")
    missing = [str(path) for path in paths if not _exists(path)]
    if missing:
        return _fail(f"No such file or folder, or none that may be seen: {', '.join(missing)}")
    total = sum(1 for _ in _files(paths, out))
    if total == 0:
        return _fail(f"No files in {', '.join(map(str, paths))}.")
    try:
        with Results(out, engine.model.manifest.version, fresh) as results:
            return _screen_all(paths, total, results, engine.model, settings)
    except ResultsInvalid as invalid:
        return _fail(str(invalid))
    except Locked as locked:
        return _fail(f"{out} is being written by {locked}. Wait for it, or name another file.")
    except OSError as error:
        return _fail(f"Cannot write {out}: {error.strerror}. Rows written so far are kept.")


def _screen_all(
    paths: list[Path], total: int, results: Results, model: ServedModel, settings: Settings
) -> int:
    said: Counter[str] = Counter()
    pause = 0.2 if sys.stderr.isatty() else 10.0
    bar = tqdm(total=total, unit=" images", mininterval=pause, dynamic_ncols=True)
    with bar, closing(_rows(paths, results, model, settings)) as rows:
        try:
            for row in rows:
                if row is not None:
                    results.write(row)
                    said[row.label or row.problem] += 1
                bar.update()
        except KeyboardInterrupt:
            bar.close()
            print(f"Stopped. Run the same command again to go on: {results.path}", file=sys.stderr)
            return EXIT_INTERRUPTED
    counts = ", ".join(f"{count} {what}" for what, count in said.most_common())
    print(
        f"{results.path}: {counts or 'nothing new'}; {results.earlier} from earlier",
        file=sys.stderr,
    )
    return EXIT_OK


def _rows(
    paths: list[Path], results: Results, model: ServedModel, settings: Settings
) -> Generator[Row | None, None, None]:
    """A row about each file in order, None for one that has a row already."""
    budget = ByteBudget(settings.decoded_budget)
    limit = int(settings.body_limit)
    under_way: deque[Future[Row] | None] = deque()
    workers = ThreadPoolExecutor(settings.cores, thread_name_prefix="screening")
    try:
        for path in _files(paths, results.path):
            new = results.claim(str(path))
            under_way.append(workers.submit(_row, path, model, budget, limit) if new else None)
            if len(under_way) > 4 * settings.cores:
                yield _result(under_way.popleft())
        while under_way:
            yield _result(under_way.popleft())
    finally:
        workers.shutdown(cancel_futures=True)


def _result(future: Future[Row] | None) -> Row | None:
    return None if future is None else future.result()


def _row(path: Path, model: ServedModel, budget: ByteBudget, limit: int) -> Row:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            next(path.iterdir(), None)  # says why it cannot be looked into
        size = status.st_size
        if size > limit:
            raise Problem(
                UPLOAD_TOO_LARGE,
                f"The file has {size / 1e6:.1f} MB; accepted are {limit / 1e6:.1f} MB.",
            )
        return Row.of(str(path), screen(model, path.read_bytes(), DecodingMemory(budget)))
    except Problem as problem:
        return Row.refused(str(path), problem.kind.slug, problem.detail, model)
    except OSError as error:
        return Row.refused(str(path), UNREADABLE, error.strerror or "It cannot be read.", model)
    except Exception as failure:  # noqa: BLE001 - one image in 100,000 must not end the run
        reason = " ".join(str(failure).split())  # a line end would tear the row
        detail = f"The network failed on it: {type(failure).__name__}: {reason}"
        return Row.refused(str(path), INTERNAL.slug, detail, model)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _files(paths: Iterable[Path], out: Path) -> Iterator[Path]:
    """Every regular file in the paths but `out`, in an order that never changes.

    A folder that cannot be looked into stands for what is in it. Links to folders are not followed.
    """
    own = out.resolve()
    for path in paths:
        for file in _below(path) if path.is_dir() else [path]:
            if file.name != own.name or file.resolve() != own:
                yield file


def _below(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED_FOLDERS:
            continue
        if entry.is_dir(follow_symlinks=False):  # a link could lead back here
            yield from _below(folder / entry.name)
        elif _is_file(entry):
            yield folder / entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # reading it will tell why
        return True


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_INVALID
