"""Where an archive and its results lie: folders of this machine, or S3 buckets.

S3 is reached through Arrow, with the credentials, region and endpoint that the `AWS_` variables of
the environment give, as every S3 program reads them.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from service.offline.answer import read_file
from service.offline.listing import SKIPPED_FOLDERS, files_of
from shared.runtime.whole_file import replacing

S3: Final = "s3://"


def list_files(source: str, out: str) -> Iterator[str]:
    """Every file of a source but hidden ones and the results, in an order that never changes.

    Raises:
        FileNotFoundError: There is no such source.
        OSError: It cannot be listed.
    """
    if source.startswith(S3):
        yield from _list_s3(source, out)
        return
    Path(source).stat()
    here = Path() / ".no-results" if out.startswith(S3) else Path(out)
    yield from files_of([Path(source)], here)


def read_image(path: str, admit: Callable[[int], None]) -> bytes:
    """The bytes of a file at an address; takes and raises what `read_file` does."""
    if not path.startswith(S3):
        return read_file(Path(path), admit)
    with _s3(_bucket(path)).open_input_file(path.removeprefix(S3)) as file:
        admit(file.size())
        return bytes(file.read())


class LocalFolder:
    """A folder of this machine, or of a file system that all machines share.

    Every method but the constructor may raise `OSError`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._path = Path(address)

    def names(self) -> set[str]:
        """The names of its files, without those in folders below."""
        try:
            return {entry.name for entry in os.scandir(self._path) if entry.is_file()}
        except FileNotFoundError:
            return set()

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self._path / name).exists()

    def open(self, name: str) -> IO[bytes]:
        """A file to read from; `FileNotFoundError` where there is none."""
        return (self._path / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """Makes a file, or replaces it: whole or not at all."""
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> None:
        """The same, unless there is one already."""
        beside = f".{name}.{secrets.token_hex(4)}"
        self.write(beside, data)
        try:
            with suppress(FileExistsError):  # of several that try, one succeeds
                (self._path / name).hardlink_to(self._path / beside)
        finally:
            self.remove(beside)

    def remove(self, name: str) -> None:
        """Removes a file, if there is one."""
        (self._path / name).unlink(missing_ok=True)


class S3Folder:
    """The same in a bucket; an object is there when its one upload is complete."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._prefix = self.address.removeprefix(S3)

    def names(self) -> set[str]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._prefix, allow_not_found=True)
        found = self._system().get_file_info(selector)
        return {info.base_name for info in found if info.is_file}

    def has(self, name: str) -> bool:
        return bool(self._system().get_file_info(f"{self._prefix}/{name}").is_file)

    def open(self, name: str) -> IO[bytes]:
        file: IO[bytes] = self._system().open_input_file(f"{self._prefix}/{name}")
        return file

    def write(self, name: str, data: bytes) -> None:
        with self._system().open_output_stream(f"{self._prefix}/{name}") as stream:
            stream.write(data)

    def create(self, name: str, data: bytes) -> None:
        if not self.has(name):
            self.write(name, data)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._system().delete_file(f"{self._prefix}/{name}")

    def _system(self) -> Any:
        return _s3(_bucket(self.address))


Folder = LocalFolder | S3Folder


def open_folder(address: str) -> Folder:
    """The folder at an address, `s3://bucket/prefix` or a path; it need not exist."""
    return S3Folder(address) if address.startswith(S3) else LocalFolder(address)


def _list_s3(source: str, out: str) -> Iterator[str]:
    """Folder by folder: Arrow keeps all that one call lists, and an archive may be large."""
    from pyarrow.fs import FileSelector, FileType

    system = _s3(_bucket(source))
    base = source.removeprefix(S3).rstrip("/")
    own = out.removeprefix(S3).rstrip("/") + "/"
    top = system.get_file_info(base)
    if top.type == FileType.NotFound:
        raise FileNotFoundError(source)
    if top.is_file:
        yield S3 + top.path
        return
    for entry in _sorted(system.get_file_info(FileSelector(base))):
        below = [entry]
        if entry.type == FileType.Directory:
            below = _sorted(system.get_file_info(FileSelector(entry.path, recursive=True)))
        for info in below:
            if info.is_file and not info.path.startswith(own) and _shown(info.path, base):
                yield S3 + info.path


def _sorted(infos: Any) -> list[Any]:
    return sorted(infos, key=lambda info: info.path)


def _shown(path: str, base: str) -> bool:
    names = path.removeprefix(base).strip("/").split("/")
    return not any(name.startswith(".") or name in SKIPPED_FOLDERS for name in names)


def _bucket(address: str) -> str:
    return address.removeprefix(S3).partition("/")[0]


@cache
def _s3(bucket: str) -> Any:
    """Arrow's file system for a bucket: one for all threads."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return S3FileSystem(
        endpoint_override=endpoint,
        region=region or (None if endpoint else resolve_s3_region(bucket)),
        allow_delayed_open=True,  # what is small is one PUT, not an upload of several steps
        connect_timeout=10,
        request_timeout=60,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=3),
    )
