"""Log lines: facts beside the event, and of an error its kind and places, not its values."""

import io
import json
import logging

import pytest

from shared.runtime.log_lines import write_log_to


@pytest.fixture(autouse=True)
def root_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_an_object_with_its_facts() -> None:
    stream = io.StringIO()
    write_log_to(stream, "auto", "info")
    logging.getLogger("any").info("lamp lit", extra={"watts": 7})
    logging.getLogger("any").debug("not shown")
    [line] = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["level"], said["event"], said["watts"]) == ("info", "lamp lit", 7)
    assert said["time"].endswith("+00:00")


def test_a_person_at_a_terminal_gets_text() -> None:
    stream = Terminal()
    write_log_to(stream, "auto", "info")
    logging.getLogger("any").warning("lamp broken", extra={"watts": 7})
    assert stream.getvalue()[9:] == "warning lamp broken  watts=7\n"


@pytest.mark.parametrize("style", ["json", "text"])
def test_of_an_error_the_kind_and_the_places_are_said(style: str) -> None:
    stream = io.StringIO()
    write_log_to(stream, style, "info")
    try:
        raise ValueError("a value of an image")
    except ValueError as error:
        logging.getLogger("any").error("step failed", exc_info=error)
    assert "ValueError" in stream.getvalue()
    assert "test_log_lines.py" in stream.getvalue()
    assert "a value of an image" not in stream.getvalue()
