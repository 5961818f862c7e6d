"""Screens files and folders of any size without HTTP: `python -m service screen`.

All cores work; at any time only a few images are in memory. Results are written in order, a row a
file, so that a run that was stopped goes on where it left off.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from service.offline.listing import exists, files_of
from service.offline.results import Results, ResultsInvalid
from service.offline.screener import Screener, load_model
from service.settings import Settings
from shared.runtime.file_lock import Held

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
    model = load_model(settings)
    if model is None:
        return _fail(f"No model to screen with in {settings.models}.")
    missing = [str(path) for path in paths if not exists(path)]
    if missing:
        return _fail(f"No such file or folder, or none that may be seen: {', '.join(missing)}")
    total = sum(1 for _ in files_of(paths, out))
    if total == 0:
        return _fail(f"No files in {', '.join(map(str, paths))}.")
    try:
        with (
            Results(out, model.manifest.version, fresh) as results,
            closing(Screener(model, settings)) as screener,
        ):
            return _screen_all(paths, total, results, screener)
    except ResultsInvalid as invalid:
        return _fail(str(invalid))
    except Held as holder:
        return _fail(f"{out} is being written by {holder}. Wait for it, or name another file.")
    except OSError as error:
        return _fail(f"Cannot write {out}: {error.strerror}. Rows written so far are kept.")


def _screen_all(paths: list[Path], total: int, results: Results, screener: Screener) -> int:
    said: Counter[str] = Counter()
    pause = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(total=total, unit=" images", mininterval=pause, dynamic_ncols=True) as bar:

        def claimed() -> Iterator[str]:
            """The files that have no row yet."""
            for path in files_of(paths, results.path):
                if results.claim(path):
                    yield path
                else:
                    bar.update()

        try:
            for row in screener.rows(claimed()):
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


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_INVALID
