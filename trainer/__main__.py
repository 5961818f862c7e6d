"""The trainer's command line.

python -m trainer download                              fetch the Kaggle data set
python -m trainer fit --data DIR-or-zip --models DIR    train, and publish a bundle
python -m trainer fit --models DIR --resume             go on with a run that was stopped
python -m trainer evaluate --bundle DIR --data DIR      score a bundle on any folder
python -m trainer recalibrate --bundle DIR --data DIR   publish it with a hospital's threshold
python -m trainer export model.h5 --models DIR          make a bundle out of a Keras .h5
python -m trainer study FILE.toml --data DIR --out DIR  compare recipes on folds, by seeds
"""

import argparse
import shutil
import signal
import sys
import traceback
from collections.abc import Set
from contextlib import closing, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import ValidationError

from shared.bundle.store import PublishFailed
from shared.imaging.hardening import harden
from shared.runtime.file_lock import LocksUnsupported
from trainer.cli import build_parser, given
from trainer.config.knobs import explain
from trainer.config.options import CROSS_VALIDATION, DECIDING, RECALIBRATING, REPORTING, Options
from trainer.config.recipe import Recipe
from trainer.config.threshold_rules import parse_rule
from trainer.data.dataset import SPLITS
from trainer.errors import TrainerError

if TYPE_CHECKING:
    from trainer.runs.request import Request
    from trainer.runs.run_folder import RunFolder

Fields = TypeVar("Fields", Options, Recipe)

_FULL = 5 * 2**20  # bytes; with less left a failed write means a full disk


class _WrongValue(Exception):
    """An option has a value out of its range; the message names it and says what is accepted."""


class _Stopped(SystemExit):
    """The process was asked to end (SIGTERM, as by `docker stop`)."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 1 on an error that has been explained, 2 on a wrong option or a value out of
        its range, 130 or 143 when stopped by Ctrl-C or SIGTERM.
    """
    asked = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    harden()
    try:
        commands = {
            "fit": _fit,
            "evaluate": _evaluate,
            "recalibrate": _recalibrate,
            "study": _study,
            "export": _export,
            "download": _download,
        }
        commands[asked.command](asked)
    except (KeyboardInterrupt, _Stopped) as stop:
        _print_error(" ".join(["Stopped.", *getattr(stop, "__notes__", [])]), "")
        return 130 if isinstance(stop, KeyboardInterrupt) else 143
    except _WrongValue as error:
        _print_error(str(error))
        return 2
    except (TrainerError, PublishFailed, LocksUnsupported) as error:
        return _print_error(str(error))
    except Exception as error:  # noqa: BLE001 - a traceback helps no user
        if asked.traceback:
            traceback.print_exc()
        return _print_error(_explain(error, asked))
    return 0


def _fit(asked: argparse.Namespace) -> None:
    from trainer.commands.fit import fit
    from trainer.runs.run_folder import RunFolder, check_writable

    work = asked.work or asked.models / ".trainer"
    if asked.resume is not None:
        check_writable(work, "--work")
        with closing(RunFolder.resume(work, asked.resume)) as run:
            _refuse_changes(asked, run)
            fit(_request(asked, work, run.state), run)
        return
    if asked.data is None:
        raise TrainerError(
            "--data is missing: give the folder or the .zip that holds train and test, or "
            "--resume to go on with a run. `python -m trainer download` fetches the data."
        )
    fit(_request(asked, work, {}))


def _request(asked: argparse.Namespace, work: Path, began: dict[str, Any]) -> "Request":
    """What a run began with, with what is asked for now."""
    from trainer.runs.request import Request

    now: dict[str, Any] = {"models": asked.models, "work": work}
    for name in ("data", "test", "unlike", "beside"):
        if (value := getattr(asked, name)) is not None:
            now[name] = value
    for name in ("external", "not_chest"):
        if (pairs := getattr(asked, name)) != []:  # None is what --no-external makes of it
            now[name] = _named(name, pairs)
    now["recipe"] = _chosen(asked, Recipe, began.get("recipe"))
    now["options"] = _chosen(asked, Options, began.get("options"))
    return Request(**(began | now))


def _refuse_changes(asked: argparse.Namespace, run: "RunFolder") -> None:
    """A resumed run keeps its recipe and options, but for how it decides and reports."""
    known = {"recipe": Recipe, "options": Options}
    if "learned" not in run.state or any(
        set(run.state[part]) != {item.name for item in fields(of)} for part, of in known.items()
    ):
        raise TrainerError(
            f"Another version of this program, with other options, began the run {run.path}. "
            "Finish it with that version, or start a new run without --resume."
        )
    for name in ("unlike", "beside"):
        if getattr(asked, name) is not None and run.state.get(name) is None:
            raise TrainerError(
                f"The run {run.path} began without --{name}. Leave it out to go on, or start a new "
                "run without --resume."
            )
    for part, of in known.items():
        for name, value in given(asked, of).items():
            kept = run.state[part][name]
            if value != kept and name not in (*DECIDING, *REPORTING):
                raise TrainerError(
                    f"--{name.replace('_', '-')} {value} differs from the {part} of the run to be "
                    f"resumed, {kept}. Leave it out to go on, or start a new run without --resume."
                )


def _evaluate(asked: argparse.Namespace) -> None:
    from trainer.commands.evaluate import evaluate
    from trainer.runs.bundles import open_model

    options = _chosen(asked, Options)
    external = _named("external", asked.external, {asked.data.name.lower()})
    not_chest = _named("not_chest", asked.not_chest)
    evaluate(
        open_model(asked.bundle),
        asked.data,
        asked.split,
        external,
        not_chest,
        options,
        asked.report,
        asked.json,
    )


def _recalibrate(asked: argparse.Namespace) -> None:
    from trainer.commands.recalibrate import recalibrate
    from trainer.runs.bundles import open_model

    bundle = open_model(asked.bundle)
    own = bundle.manifest.operating_point.rule
    began = dict(RECALIBRATING)
    with suppress(ValueError):  # where it is another program's rule
        if parse_rule(own)[0] != "fixed":
            began["rule"] = own
    recalibrate(bundle, asked.data, asked.split, asked.models, _chosen(asked, Options, began))


def _study(asked: argparse.Namespace) -> None:
    from trainer.commands.study import study
    from trainer.studies.design import read_design

    design = read_design(asked.study)
    if asked.cell is not None and not 0 <= asked.cell < len(design.cells):
        raise _WrongValue(
            f"--cell: received {asked.cell}; accepts 0 to {len(design.cells) - 1}, as there are "
            f"{design.describe()}"
        )
    study(design, asked.data, asked.out, asked.cell, asked.scheduler)


def _export(asked: argparse.Namespace) -> None:
    from trainer.commands.export import export

    export(
        asked.network,
        asked.models,
        asked.data,
        asked.split,
        asked.calibrate_on,
        asked.positive,
        _chosen(asked, Options),
    )


def _download(asked: argparse.Namespace) -> None:
    from trainer.commands.download import download
    from trainer.console import say

    path = download()
    say("Downloaded", str(path))
    say("Next", f"python -m trainer fit --data {path} --models models")


def _chosen(
    asked: argparse.Namespace, of: type[Fields], began: dict[str, Any] | None = None
) -> Fields:
    """The recipe or the options that a run began with, with what is asked for now."""
    try:
        return of(**{**(began or {}), **given(asked, of)})
    except ValidationError as error:
        raise _WrongValue(explain(error, of)) from error


def _named(kind: str, pairs: list[str] | None, own: Set[str] = frozenset()) -> dict[str, Path]:
    """Folders by name, from NAME=DIR or from DIR, whose last part then is the name."""
    option = f"--{kind.replace('_', '-')}"
    found: dict[str, Path] = {}
    for pair in pairs or []:
        name, equals, path = pair.partition("=")
        if not equals:
            name, path = Path(pair).name, pair
        remedy = f"name it otherwise with {option} NAME={path or 'DIR'}"
        if name in ("", "..") or not path:
            raise _WrongValue(f"{option}: received {pair!r}, which lacks a name or DIR; {remedy}")
        if name.lower() in {*SPLITS, CROSS_VALIDATION, *own}:
            raise _WrongValue(
                f"{option}: received {pair!r}, but {name} is a set of the data itself; {remedy}"
            )
        if name in found:
            raise _WrongValue(
                f"{option}: received {pair!r}, but {name} is {found[name]} already; {remedy}"
            )
        found[name] = Path(path)
    return found


def _explain(error: Exception, asked: argparse.Namespace) -> str:
    if isinstance(error, ImportError):
        return (
            f"{error}. The trainer's packages are not all installed: pip install "
            "'.[trainer]' in the project's folder."
        )
    if isinstance(error, MemoryError):
        return "There is not enough memory. Lower --batch-size, or give the process more."
    folder = next(
        (getattr(asked, n) for n in ("work", "models", "out") if getattr(asked, n, None)), None
    )
    free = shutil.disk_usage(folder).free if folder and Path(folder).exists() else None
    if free is not None and free < _FULL:
        return (
            f"The disk of {folder} is full ({free / 1e6:.0f} MB left): {error}. Free some space, "
            f"then {'go on with --resume' if asked.command == 'fit' else 'run it again'}."
        )
    if isinstance(error, OSError):
        return (
            f"{error.filename or 'A file'}: {error.strerror or error}. Check that it exists, that "
            "it may be read and written, and that the disk has space."
        )
    return f"{type(error).__name__}: {error}. Run again with --traceback to see where it arose."


def _print_error(text: str, prefix: str = "error: ") -> int:
    print(f"\n{prefix}{text}", file=sys.stderr)
    return 1


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main())
