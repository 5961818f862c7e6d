"""The command `screen`: what it accepts, and who does it. Light to import, as `serve` does too."""

import argparse
import sys
from pathlib import Path
from typing import Final

from service.offline.archive.options import PART_SIZE, PATIENCE, Options, Shard
from service.settings import Settings

EXIT_INVALID: Final = 2
_S3: Final = "s3://"

_DESCRIPTION: Final = """\
Screens files and folders of any size, without HTTP, on all cores. A run that was stopped goes on
where it left off when the same command is given again.

  --out results.csv, results.jsonl   a row a file, all in one file: for one run at a time
  --out folder/, s3://bucket/run-7/  Parquet files, one for each part of the archive, and
                                     summary.json: for any number of machines, and for files in S3
                                     (pip install '.[archive]'; for --scheduler '.[cluster]')

S3 is reached as the AWS_ variables of the environment say: AWS_ACCESS_KEY_ID and so on, and
AWS_ENDPOINT_URL for storage of other makes."""


def add_arguments(screen: argparse.ArgumentParser) -> None:
    """Tells the command's parser what it accepts."""
    screen.description = _DESCRIPTION
    screen.formatter_class = argparse.RawDescriptionHelpFormatter
    screen.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, a folder, or s3://bucket/prefix/"
    )
    screen.add_argument(
        "--out", required=True, metavar="OUT", help="results: a .csv or .jsonl file, or a folder"
    )
    screen.add_argument("--fresh", action="store_true", help="begin anew: forget what OUT holds")
    folder = screen.add_argument_group("where OUT is a folder")
    engine = folder.add_mutually_exclusive_group()
    engine.add_argument(
        "--scheduler", metavar="ADDRESS", help="have the workers of a Dask scheduler do it: tcp://…"
    )
    engine.add_argument(
        "--shard",
        type=Shard.parse,
        default=Shard(),
        metavar="I/N",
        help="do every Nth part from part I on, 0 to N - 1; others do the others",
    )
    folder.add_argument(
        "--part",
        type=_part_size,
        default=PART_SIZE,
        metavar="FILES",
        help=f"files in a part, which is done as a whole or again (default {PART_SIZE})",
    )
    folder.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"go on trying so long while storage or scheduler are down (default {PATIENCE:.0f})",
    )


def run(chosen: argparse.Namespace, settings: Settings) -> int:
    """Does what was asked for; returns the exit code."""
    out: str = chosen.out
    options = Options(chosen.fresh, chosen.part, chosen.scheduler, chosen.shard, chosen.patience)
    if _is_folder(out):
        if options.fresh and options.shard.count > 1:
            return _refuse("--fresh would forget what other shards do. Name another folder.")
        from service.offline.archive.run import screen_archive

        return screen_archive(chosen.paths, out, settings, options)
    if options != Options(fresh=options.fresh):
        return _refuse(
            f"{out} is one file; --scheduler, --shard, --part and --patience are for a folder. End "
            "its name with a slash."
        )
    if any(path.startswith(_S3) for path in chosen.paths):
        return _refuse("The results of files in S3 go to a folder, as with --out results/")
    from service.offline.screen import screen_folders

    return screen_folders([Path(path) for path in chosen.paths], Path(out), settings, options.fresh)


def _is_folder(out: str) -> bool:
    path = Path(out)
    return out.startswith(_S3) or out.endswith("/") or path.is_dir() or not path.suffix


def _part_size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"received {text!r}; accepted are 1 to 100000")
    return int(text)


def _seconds(text: str) -> float:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"received {text!r}; accepted are whole seconds")
    return float(text)


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_INVALID
