"""Screens files and folders of any size without HTTP: `python -m service screen`.

All cores work; at any time only a few images are in memory. Results are written in order, a row a
file, so that a run that was stopped goes on where it left off.
"""

import sys
from collections import Counter, deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from service.inference.loaded_model import ServedModel
from service.inference.model_watcher import Engine
from service.offline.answer import answer, check_size, read_file
from service.offline.listing import exists, files_of
from service.offline.lock import Locked
from service.offline.results import Results, ResultsInvalid
from service.offline.row import Row
from service.runtime.byte_budget import ByteBudget
from service.runtime.malloc import keep_small_blocks
from service.settings import Settings
from shared.imaging.hardening import harden

EXIT_OK, EXIT_INVALID, EXIT_INTERRUPTED = 0, 2, 130


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
    missing = [str(path) for path in paths if not exists(path)]
    if missing:
        return _fail(f"No such file or folder, or none that may be seen: {', '.join(missing)}")
    total = sum(1 for _ in files_of(paths, out))
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
        for path in files_of(paths, results.path):
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
    return answer(str(path), model, budget, partial(read_file, path, partial(check_size, limit)))


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_INVALID
