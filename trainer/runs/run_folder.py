"""The folder of one run: its options, its checkpoints, and whether it has published.

Written so that a run killed at any moment can be resumed: each file is replaced in one step, and
the options are written before anything else.
"""

import contextlib
import itertools
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.runtime.file_lock import FileLock, Held
from shared.runtime.whole_file import replacing
from trainer.console import say
from trainer.errors import TrainerError

_STATE = "run.json"


class RunFolder:
    """One run's folder, held by one process at a time.

    Attributes:
        path: The folder.
        state: What `run.json` holds: "options", "recipe", "data", "fingerprint", "published"...
    """

    def __init__(self, path: Path, state: dict[str, Any]) -> None:
        self.path = path
        self.state = state
        try:
            self._lock = FileLock(path / ".lock")
        except Held as holder:
            raise TrainerError(
                f"The run {path} is being worked on by {holder}. Wait for it, or start a new run "
                "without --resume."
            ) from holder

    def close(self) -> None:
        """Let another process work on it."""
        self._lock.close()

    @classmethod
    def create(cls, work: Path, state: dict[str, Any]) -> "RunFolder":
        """Start a run in a new folder, named by the time; of several at once each has its own."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
        path = work / "runs" / stamp
        path.parent.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(2):
            try:
                path.mkdir()
                break
            except FileExistsError:
                path = work / "runs" / f"{stamp}-{count}"
        run = cls(path, state)
        run.save()
        return run

    @classmethod
    def resume(cls, work: Path, name: str | None = None) -> "RunFolder":
        """Open a run to go on with.

        Args:
            work: Where runs are kept.
            name: Of its folder, which may be one that has published; None: the newest that has not.

        Raises:
            TrainerError: There is none, or none of that name.
        """
        runs: dict[str, dict[str, Any]] = {}
        for path in sorted((work / "runs").glob("*"), reverse=True):
            with contextlib.suppress(OSError, ValueError):
                runs[path.name] = json.loads((path / _STATE).read_text(encoding="utf-8"))
        unfinished = [each for each, state in runs.items() if not state.get("published")]
        if not unfinished and not name:
            named = f" Those that have published: {', '.join(runs)}." if runs else ""
            raise TrainerError(
                f"There is no unfinished run in {work / 'runs'}. Leave out --resume to start one, "
                "name one that has published to decide and publish once more, or give the --models "
                f"or --work of the run to go on with.{named}"
            )
        name = name or unfinished[0]
        if name not in runs:
            there = f"there are {', '.join(runs)}" if runs else "there is none"
            raise TrainerError(f"There is no run {name} in {work / 'runs'}; {there}.")
        others = [other for other in unfinished if other != name]
        if others:
            say("Also open", f"{', '.join(others)}: go on with one by --resume NAME")
        return cls(work / "runs" / name, runs[name])

    def save(self, **changes: Any) -> None:
        """Write `run.json`, with these entries changed."""
        self.state.update(changes)
        write_atomically(self.path / _STATE, json.dumps(self.state, indent=2) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a text file in one step, and sync it."""
    with replacing(path) as file:
        file.write(text.encode())


def check_writable(folder: Path, option: str) -> None:
    """Make a folder, and try to write in it.

    Raises:
        TrainerError: It cannot be made or written; names the option to change.
    """
    probe = folder / f".writable-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
    except OSError as error:
        raise TrainerError(
            f"{folder} cannot be written: {error.strerror or error}. Make the folder writable for "
            f"this user (uid {os.getuid()}), free some space, or name another one with {option}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
