"""The command line: `python -m service` serves, `python -m service screen` a folder."""

import argparse
import sys
from pathlib import Path

from service.settings import PREFIX, Settings, SettingsInvalid, read_settings

EXIT_INVALID = 2

_SCREEN = """Screens files and folders of any size, without HTTP, on all cores. A run that was
stopped goes on where it left off when the same command is given again."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Returns:
        The exit code: 0; 2 where settings, arguments or files are wrong; 130 where
        Ctrl-C stopped `screen`. A server that is told to stop ends with 0.
    """
    chosen = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        if chosen.command == "screen":
            from service.offline.screen import screen_folders

            return screen_folders(chosen.paths, chosen.out, settings, chosen.fresh)
        return _serve(settings)
    except SettingsInvalid as invalid:
        print(f"The service does not start:\n{invalid}", file=sys.stderr)
        return EXIT_INVALID


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Screens chest X-rays for pneumonia: over HTTP, or over folders.",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="serve | screen")
    commands.add_parser("serve", help="serve over HTTP (the default)")
    screen = commands.add_parser(
        "screen",
        help="screen files and folders",
        description=_SCREEN,
    )
    screen.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    screen.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="results, .csv or .jsonl"
    )
    screen.add_argument("--fresh", action="store_true", help="begin anew: forget what FILE holds")
    return parser


def _serve(settings: Settings) -> int:
    from service.app import create_app
    from service.http.server import make_server
    from service.telemetry.logging import set_up_logs

    set_up_logs(settings.log_format, settings.log_level)
    make_server(create_app(settings), settings).run()
    return 0


def _settings_help() -> str:
    lines = ["settings, read from the environment:"]
    for name, field in Settings.model_fields.items():
        lines.append(f"  {PREFIX}{name.upper():22} {field.description}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
