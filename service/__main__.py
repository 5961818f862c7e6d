"""The command line: `python -m service` serves, `python -m service screen` a folder."""

import argparse
import sys

from service.offline import command
from service.settings import Settings, read_settings
from shared.runtime.environment_settings import SettingsInvalid, list_settings

EXIT_INVALID = 2


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Returns:
        The exit code: 0; 1 where `screen` could not do all; 2 where settings, arguments or files
        are wrong; 130 where Ctrl-C stopped `screen`. A server that is told to stop ends with 0.
    """
    chosen = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        if chosen.command == "screen":
            return command.run(chosen, settings)
        return _serve(settings)
    except SettingsInvalid as invalid:
        print(f"The service does not start:\n{invalid}", file=sys.stderr)
        return EXIT_INVALID


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Screens chest X-rays for pneumonia: over HTTP, or over folders.",
        epilog=list_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="serve | screen")
    commands.add_parser("serve", help="serve over HTTP (the default)")
    command.add_arguments(commands.add_parser("screen", help="screen files, folders, archives"))
    return parser


def _serve(settings: Settings) -> int:
    from service.app import create_app
    from service.http.server import make_server
    from service.telemetry.logging import set_up_logs

    set_up_logs(settings.log_format, settings.log_level)
    make_server(create_app(settings), settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
