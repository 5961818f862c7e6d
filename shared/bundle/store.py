"""The model bundle: one folder per trained network, published whole or not at all.

    models/
      2026-11-23T060000Z-3f2a9c1d/   model.h5  model.onnx  model.json  report.html ...
      current                        the name of the bundle to serve

A reader never sees half a bundle: it is written to a temporary folder, synced, renamed, and only
then named by `current`, which is itself replaced atomically. Opening one checks every hash.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from shared.bundle.manifest import FORMAT_VERSION
from shared.bundle.manifest import Draft as Draft
from shared.bundle.manifest import Manifest as Manifest
from shared.runtime.whole_file import replacing, synchronise

MANIFEST_NAME: Final = "model.json"
CURRENT_NAME: Final = "current"

_TEMPORARY: Final = ".publishing-"
_ABANDONED_AFTER: Final = 3600.0  # seconds; writing a bundle takes a minute or two
_MANIFEST_LIMIT: Final = 16 * 2**20  # bytes
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class BundleInvalid(ValueError):
    """A bundle, or the file `current`, cannot be trusted; the message says why."""


class PublishFailed(OSError):
    """A bundle could not be written; the message names the path and the remedy."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files matched their hashes when it was opened.

    Attributes:
        path: Its folder.
        manifest: What it says of itself.
    """

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files.

        Raises:
            BundleInvalid: The bundle has no such file.
        """
        if name != MANIFEST_NAME and name not in self.manifest.files:
            raise BundleInvalid(f"the bundle {self.path} has no file {name!r}")
        return self.path / name

    def read(self, name: str) -> bytes:
        """Read one of the bundle's files, and check it once more.

        It may have changed on the disk since the bundle was opened.

        Raises:
            BundleInvalid: The bundle has no such file, or it does not match its hash.
        """
        if name not in self.manifest.files:
            raise BundleInvalid(f"the bundle {self.path} has no file {name!r}")
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise BundleInvalid(f"cannot read {self.path / name}: {error.strerror}") from error
        _compare(self.path / name, hashlib.sha256(content).hexdigest(), self.manifest.files[name])
        return content


def publish(models_dir: Path, write: Callable[[Path], Draft]) -> Path:
    """Publish a bundle and make it current; a failure before that leaves nothing behind.

    Once `current` names the bundle it is never removed, as a service may have it open by then.

    Args:
        models_dir: Where bundles live; created if missing.
        write: Called with a new, empty folder. Puts the bundle's files there (no subfolders) and
            returns the manifest without version, time and hashes. What it raises is passed on.

    Returns:
        The bundle's folder; its name is the version.

    Raises:
        PublishFailed: The folder cannot be written or the disk is full; or the bundle is published,
            but the disk did not confirm it.
    """
    temporary = models_dir / f"{_TEMPORARY}{secrets.token_hex(8)}"
    published: Path | None = None
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(models_dir)
        temporary.mkdir()
        draft = write(temporary)
        manifest = _finish(temporary, draft)
        path = models_dir / manifest.version
        temporary.rename(path)
        published = path
        synchronise(models_dir)
        with replacing(models_dir / CURRENT_NAME) as file:
            file.write(f"{manifest.version}\n".encode())
        synchronise(models_dir)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        kept = published is not None and _may_be_current(published)
        if published is not None and not kept:
            shutil.rmtree(published, ignore_errors=True)
        if not isinstance(error, OSError) or isinstance(error, PublishFailed):
            raise
        reason = error.strerror or error
        if kept:
            raise PublishFailed(
                f"{published} is published, but the disk did not confirm it: {reason}. It may not "
                "survive a power cut. Check the disk, then publish again."
            ) from error
        raise PublishFailed(
            f"cannot publish a bundle in {models_dir}: {reason}. Nothing was left there. Make "
            "room, or make the folder writable for the user that runs this, or name another folder."
        ) from error
    return path


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check its format version and every file.

    Raises:
        BundleInvalid: It is incomplete, changed, or of a format this program does not read.
    """
    manifest = _read_manifest(path / MANIFEST_NAME)
    for name, expected in manifest.files.items():
        try:
            with (path / name).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BundleInvalid(f"cannot read {path / name}: {error.strerror}") from error
        _compare(path / name, actual, expected)
    return Bundle(path, manifest)


def current(models_dir: Path) -> Path | None:
    """Find the bundle that is to be served.

    Returns:
        The folder that the file `current` names (it may not exist), or None without that file.

    Raises:
        BundleInvalid: The file cannot be read, or names no folder directly within `models_dir`.
    """
    pointer = models_dir / CURRENT_NAME
    try:
        with pointer.open("rb") as file:
            name = file.read(256).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BundleInvalid(f"cannot read {pointer}: {error.strerror}") from error
    path = models_dir / name
    if not _NAME.fullmatch(name) or path.resolve().parent != models_dir.resolve():
        raise BundleInvalid(
            f"{pointer} must hold the name of a folder beside it; it holds {name!r}"
        )
    return path


def _finish(folder: Path, draft: Draft) -> Manifest:
    """Hash the files of a bundle, write its manifest and sync it all to the disk."""
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            files[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
    now = datetime.now(UTC)
    created = now.replace(microsecond=0)
    identity = json.dumps([now.isoformat(), files, draft.model_dump(mode="json")])
    manifest = Manifest(
        **draft.model_dump(),
        version=f"{created:%Y-%m-%dT%H%M%SZ}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}",
        created=created,
        files=files,
    )
    with replacing(folder / MANIFEST_NAME) as file:
        file.write(f"{manifest.model_dump_json(indent=2)}\n".encode())
    synchronise(folder)
    return manifest


def _may_be_current(path: Path) -> bool:
    """Whether the file `current` names this bundle; where it cannot be read, it might."""
    try:
        with (path.parent / CURRENT_NAME).open("rb") as file:
            return file.read(256).decode("utf-8", "replace").strip() == path.name
    except (FileNotFoundError, IsADirectoryError):
        return False
    except OSError:
        return True


def _remove_abandoned(models_dir: Path) -> None:
    """Remove what a killed run left behind."""
    for path in models_dir.glob(f"{_TEMPORARY}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(path, ignore_errors=True)


def _read_manifest(path: Path) -> Manifest:
    """Read and check `model.json`."""
    try:
        with path.open("rb") as file:
            content = file.read(_MANIFEST_LIMIT)
    except OSError as error:
        raise BundleInvalid(f"cannot read {path}: {error.strerror}") from error
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleInvalid(f"{path} is not JSON: {error}") from error
    found = fields.get("format_version") if isinstance(fields, dict) else None
    if found != FORMAT_VERSION:
        raise BundleInvalid(
            f"{path} has format version {found!r}; this program reads {FORMAT_VERSION}. "
            "Use the version of the program that the bundle was made with, or publish it again."
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BundleInvalid(f"{path} is not a valid manifest: {where}: {first['msg']}") from error


def _compare(path: Path, actual: str, expected: str) -> None:
    """Compare a file's hash with the manifest's."""
    if actual != expected:
        raise BundleInvalid(
            f"{path} does not match the bundle's manifest: sha256 {actual[:12]}…, expected "
            f"{expected[:12]}…. The file was changed or damaged; copy or publish the bundle again."
        )
