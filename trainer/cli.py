"""The arguments of the command line; those of the recipe and the run are made from their fields."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared.labels import LABELS, PNEUMONIA
from trainer.config.options import DECIDING, MEASURING, RECALIBRATING, Options
from trainer.config.recipe import Recipe

_METAVARS = {int: "N", float: "X", str: "TEXT"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; options of the recipe and the run are absent unless given."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description="Train a chest X-ray screening network from scratch and publish it as a "
        "bundle that the service serves.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--traceback", action="store_true", help="show where in the program an error arose"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser(
        "fit",
        parents=[common],
        help="train a network and publish its bundle",
        description="Train on folders train and test with NORMAL and PNEUMONIA in each, and "
        "publish a bundle with model, report and model card.",
    )
    fit.add_argument("--data", type=Path, help="folder or .zip with train, test (and val)")
    _add_models(fit)
    fit.add_argument(
        "--work",
        type=Path,
        help="folder for runs and decoded images, about 0.3 GB for the Kaggle data; "
        "default MODELS/.trainer",
    )
    fit.add_argument(
        "--unlike",
        type=Path,
        metavar="DIR",
        help="chest X-rays that the network must not judge, such as adults', in any folders below: "
        "the head that knows whom it knows learns from them, and they are flagged; the network "
        "itself does not",
    )
    fit.add_argument(
        "--beside",
        type=Path,
        metavar="BUNDLE",
        help="a bundle, such as the one that is served, whose network answers beside the new ones "
        "and goes on saying whom it knows: an update that moves fewer answers",
    )
    fit.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with the newest run that has not published, or with the one whose folder in "
        "WORK/runs is named, with that run's options; how it decides and reports may be changed, "
        "and a run that has published does only that anew",
    )
    fit.add_argument(
        "--test",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="look at the test folder at the very end; --no-test for experiments",
    )
    _add_others(fit)
    for name in ("external", "not-chest"):
        fit.add_argument(
            f"--no-{name}",
            dest=name.replace("-", "_"),
            action="store_const",
            const=None,
            help=f"with --resume: leave out every --{name} that the run was started with",
        )
    _add_knobs(fit.add_argument_group("the run"), Options)
    _add_knobs(fit.add_argument_group("the recipe"), Recipe)

    evaluate = commands.add_parser(
        "evaluate", parents=[common], help="score a bundle on a folder of X-rays"
    )
    _add_measured(evaluate)
    evaluate.add_argument("--report", type=Path, metavar="FILE", help="write an HTML report")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    _add_others(evaluate)
    _add_knobs(evaluate.add_argument_group("measuring"), Options, MEASURING)

    recalibrate = commands.add_parser(
        "recalibrate",
        parents=[common],
        help="publish a bundle's network with calibration and threshold of your hospital",
        description="Fit calibration and threshold to labelled X-rays of a hospital, at least 50 "
        "NORMAL and 50 PNEUMONIA, and publish the same network with them. Says what that changes, "
        "on patients that each rule was not fitted on, and how sure that is.",
    )
    _add_measured(recalibrate)
    _add_models(recalibrate)
    defaults = {**RECALIBRATING, "rule": "the bundle's own, or balanced where that is fixed"}
    _add_knobs(recalibrate.add_argument_group("deciding"), Options, ("folds", *DECIDING), defaults)
    _add_knobs(recalibrate.add_argument_group("measuring"), Options, MEASURING, defaults)

    export = commands.add_parser(
        "export", parents=[common], help="make a bundle out of a Keras .h5 or .keras"
    )
    export.add_argument(
        "network",
        type=Path,
        help="the file of a network, ours or another's: a sigmoid, a softmax over NORMAL and "
        "PNEUMONIA, or their logits",
    )
    export.add_argument(
        "--positive",
        choices=LABELS,
        default=PNEUMONIA,
        help="what another's network was trained to detect: its one number, or the last of two, is "
        "the probability of it; default %(default)s",
    )
    _add_models(export)
    export.add_argument("--data", type=Path, help="X-rays to measure on, as for evaluate")
    export.add_argument("--split", help="which split of them; default test, or what there is")
    export.add_argument(
        "--calibrate-on",
        metavar="SPLIT",
        help="a split to fit what --calibration and --rule leave open on, e.g. val; default: keep "
        "those of the bundle that the .h5 lies in, else threshold 0.5",
    )
    _add_knobs(export.add_argument_group("deciding, with --calibrate-on"), Options, DECIDING)
    _add_knobs(export.add_argument_group("measuring"), Options, MEASURING)

    study = commands.add_parser(
        "study",
        parents=[common],
        help="compare recipes on folds of the training folder, by several seeds",
        description="Train every recipe of STUDY on every fold by every seed, each once, and write "
        "a table of how they rank the patients held out. Nothing is published. Whatever stops it, "
        "the same command goes on; any number of processes may work on one study at once.",
    )
    study.add_argument("study", type=Path, help="what to compare: a .toml as in docs/scaling.md")
    study.add_argument(
        "--data", type=Path, required=True, help="folder or .zip with the folder train"
    )
    study.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the study, which all processes that work on it share",
    )
    where = study.add_mutually_exclusive_group()
    where.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="have the workers of a Dask scheduler train; default: this process, one by one",
    )
    where.add_argument(
        "--cell",
        type=int,
        metavar="I",
        help="train one alone, counted from 0: the index of a job's pod or of an array's task",
    )

    commands.add_parser(
        "download", parents=[common], help="fetch the Kaggle data set (2.3 GB) with kagglehub"
    )
    return parser


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("models"),
        help="folder to publish bundles in; default %(default)s",
    )


def _add_measured(parser: argparse.ArgumentParser) -> None:
    """What is measured, and on which X-rays."""
    parser.add_argument(
        "--bundle",
        type=Path,
        default=Path("models"),
        help="a bundle, or a models folder (its current bundle); default %(default)s",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder or .zip with NORMAL and PNEUMONIA at its top, or with splits",
    )
    parser.add_argument("--split", help="train, val or test; default test, or what there is")


def _add_others(parser: argparse.ArgumentParser) -> None:
    for option, what in (
        ("--external", "measure on further X-rays with NORMAL and PNEUMONIA, too"),
        ("--not-chest", "measure how many of these other pictures are refused"),
    ):
        parser.add_argument(
            option, action="append", default=[], metavar="NAME=DIR", help=f"{what}; may be repeated"
        )


def _add_knobs(
    parser: argparse._ActionsContainer,
    of: type[Options] | type[Recipe],
    names: tuple[str, ...] | None = None,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Give a parser one option for each field, or for those named, absent from its result unless
    given; `defaults` are what the help says in place of the fields' own."""
    for item in fields(of):
        if names is not None and item.name not in names:
            continue
        name, default = f"--{item.name.replace('_', '-')}", item.default
        said = defaults.get(item.name, default)
        text = f"{item.metadata['help']}; default {said}".replace("%", "%%")
        kind: dict[str, Any] = (
            {"action": argparse.BooleanOptionalAction}
            if isinstance(default, bool)
            else {"type": type(default), "metavar": _METAVARS[type(default)]}
        )
        parser.add_argument(name, default=argparse.SUPPRESS, help=text, **kind)


def given(arguments: argparse.Namespace, of: type[Options] | type[Recipe]) -> dict[str, Any]:
    """The fields that the command line names."""
    names = {item.name for item in fields(of)}
    return {name: value for name, value in vars(arguments).items() if name in names}
