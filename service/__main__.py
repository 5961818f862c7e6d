"""The command line: `python -m service` serves, `python -m service screen` a folder."""

import argparse
import sys

from service.settings import PREFIX, Settings, SettingsInvalid, read_settings

EXIT_SETTINGS = 2


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Returns:
        The exit code: 0, or 2 where the settings or arguments are wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Screens chest X-rays for pneumonia: over HTTP, or over folders.",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="serve | screen")
    commands.add_parser("serve", help="serve over HTTP (the default)")
    parser.parse_args(arguments)
    try:
        settings = read_settings()
        return _serve(settings)
    except SettingsInvalid as invalid:
        print(f"The service does not start:\n{invalid}", file=sys.stderr)
        return EXIT_SETTINGS


def _serve(settings: Settings) -> int:
    from service.app import create_app
    from service.logs import set_up_logs
    from service.server import serve

    set_up_logs(settings.log_format, settings.log_level)
    serve(create_app(settings), settings)
    return 0


def _settings_help() -> str:
    lines = ["settings, read from the environment:"]
    for name, field in Settings.model_fields.items():
        lines.append(f"  {PREFIX}{name.upper():22} {field.description}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
