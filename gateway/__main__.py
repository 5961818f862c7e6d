"""The command line: `python -m gateway` serves; `failures` and `retry` are for what went wrong."""

import argparse
import sys
from contextlib import closing
from datetime import datetime

from gateway.settings import PREFIX, Settings, read_settings
from gateway.spool.store import Spool, SpoolInUse
from shared.runtime.environment_settings import SettingsInvalid, list_settings

EXIT_INVALID = 2

_DESCRIPTION = """A DICOM node between an image archive and the screening service: receives chest
X-rays, has them screened, and sends a report and a picture back to the archive."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Returns:
        The exit code: 0; 2 where settings or arguments are wrong, or something cannot be had.
    """
    chosen = _parser().parse_args(arguments)
    try:
        settings = read_settings()
    except SettingsInvalid as invalid:
        print(f"The gateway does not start:\n{invalid}", file=sys.stderr)
        return EXIT_INVALID
    if chosen.command not in ("failures", "retry"):
        return _serve(settings)
    if not settings.spool.is_dir():
        print(f"There is no spool in {settings.spool}: set {PREFIX}SPOOL", file=sys.stderr)
        return EXIT_INVALID
    with closing(Spool(settings.spool)) as spool:
        return _failures(spool) if chosen.command == "failures" else _retry(spool, chosen.uids)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway",
        description=_DESCRIPTION,
        epilog=list_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="serve | failures | retry")
    commands.add_parser("serve", help="receive, screen and deliver (the default)")
    commands.add_parser("failures", help="list the images that were given up, and why")
    retry = commands.add_parser(
        "retry",
        help="take images off the list of failures, to be tried again",
        description="A running gateway goes on with them within seconds.",
    )
    retry.add_argument(
        "uids", nargs="+", metavar="UID", help="SOP Instance UID of an image, or `all`"
    )
    return parser


def _serve(settings: Settings) -> int:
    from gateway.node import run_gateway
    from gateway.telemetry.logging import set_up_logs

    set_up_logs(settings.log_format, settings.log_level)
    try:
        run_gateway(settings)
    except (OSError, SpoolInUse) as error:
        where = f"{settings.host}:{settings.port}, {settings.health_host}:{settings.health_port}"
        print(
            f"The gateway does not start:\n{error}\n"
            f"It was to listen on {where}, with its spool in {settings.spool}.",
            file=sys.stderr,
        )
        return EXIT_INVALID
    return 0


def _failures(spool: Spool) -> int:
    failed = spool.failures()
    for entry in failed:
        received = datetime.fromtimestamp(entry.received).astimezone().isoformat(" ", "seconds")
        print(f"{entry.image_uid}  from {entry.caller}  {received}  {entry.stage}: {entry.failure}")
    if failed:
        print(f"\n{len(failed)} given up. Once the cause is mended: python -m gateway retry all")
    else:
        print("No failures.")
    return 0


def _retry(spool: Spool, uids: list[str]) -> int:
    wanted = [None] if uids == ["all"] else uids
    unknown = [uid for uid in wanted if not spool.retry(uid) and uid is not None]
    for uid in unknown:
        print(f"{uid}: not among the failures; see `python -m gateway failures`", file=sys.stderr)
    return EXIT_INVALID if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
