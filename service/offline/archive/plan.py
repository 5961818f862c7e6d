"""The plan of a run: which files, in which parts, by which model. Written once, then only read.

A run that was stopped reads its plan and lists nothing anew: files that were added in between would
shift all that come after them into other parts.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from service.inference.loaded_model import ServedModel
from service.offline.archive.storage import Folder

PLAN: Final = "plan.parquet"
_FORMAT: Final = "1"


class PlanInvalid(ValueError):
    """There is a plan, but it cannot be read, or is that of another run; the message says which."""


@dataclass(frozen=True)
class Plan:
    """What all workers of a run agree on.

    Attributes:
        id: A hash of everything else: plans of the same files by the same model share it.
        model: The version of the model that answers.
        sha256: The hash of its network, in hexadecimal.
        sources: What was listed.
        part_size: How many files a part has, but for the last.
        files: How many files there are.
    """

    id: str
    model: str
    sha256: str
    sources: tuple[str, ...]
    part_size: int
    files: int

    @property
    def parts(self) -> int:
        """How many parts there are, numbered from 0."""
        return -(-self.files // self.part_size)

    def size(self, part: int) -> int:
        """How many files a part has."""
        return min(self.part_size, self.files - part * self.part_size)


class PlannedPaths:
    """The paths of a plan, part by part: a row group each. For one thread at a time."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._metadata: Any = None

    def of(self, part: int) -> list[str]:
        """The paths of a part.

        Raises:
            OSError: The plan cannot be read.
        """
        import pyarrow.parquet as pq

        with self._folder.open(PLAN) as file:
            whole = pq.ParquetFile(file, metadata=self._metadata)
            self._metadata = whole.metadata  # grows with the number of parts; read once
            return [os.fsdecode(path.as_py()) for path in whole.read_row_group(part)["path"]]


def read_plan(folder: Folder) -> Plan | None:
    """The plan in a folder, or None where there is none.

    Raises:
        PlanInvalid: The file is no plan.
        OSError: It cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with folder.open(PLAN) as file:
            metadata = pq.read_metadata(file)
        said = json.loads((metadata.metadata or {})[b"plan"])
        if said.pop("format") != _FORMAT:
            raise PlanInvalid(f"{folder.address}/{PLAN} is a plan of another version of this.")
        return Plan(**{**said, "sources": tuple(said["sources"])}, files=metadata.num_rows)
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as damage:
        if isinstance(damage, PlanInvalid):
            raise
        raise PlanInvalid(
            f"{folder.address}/{PLAN} is no plan of this command. Name another folder, or begin "
            "anew with --fresh."
        ) from damage


def write_plan(
    folder: Folder, paths: Iterable[str], model: ServedModel, sources: tuple[str, ...], size: int
) -> Plan | None:
    """Plans the files, unless another has done so in the meantime; then that is the plan.

    Args:
        folder: Where the plan goes.
        paths: The files, in the order in which they will be in the results.
        model: What will answer.
        sources: What they were listed from.
        size: How many files a part has.

    Returns:
        The plan that is there now; None where there are no files, and then none is written.

    Raises:
        OSError: It cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    said: dict[str, Any] = {
        "model": model.manifest.version,
        "sha256": model.sha256,
        "sources": sources,
        "part_size": size,
    }
    digest = hashlib.sha256(json.dumps(said).encode())
    schema = pa.schema([("path", pa.binary())])  # a path need not be UTF-8
    content = io.BytesIO()
    with pq.ParquetWriter(content, schema, compression="zstd") as writer:
        written = False
        for part in _parts(map(os.fsencode, paths), size):
            digest.update(b"\0".join((*part, b"")))
            writer.write_table(pa.table([pa.array(part, pa.binary())], schema), size)
            written = True
        facts = {"format": _FORMAT, "id": digest.hexdigest()[:16], **said}
        writer.add_key_value_metadata({"plan": json.dumps(facts)})
    if not written:
        return None
    folder.create(PLAN, content.getvalue())
    return read_plan(folder)


def check_plan(plan: Plan, model: ServedModel, sources: tuple[str, ...], address: str) -> None:
    """Makes sure that a plan is that of this run.

    Raises:
        PlanInvalid: It is of another model, or of another source.
    """
    for what, planned, now in (
        ("model", (plan.model,), (model.manifest.version,)),
        ("network", (plan.sha256,), (model.sha256,)),
        ("source", plan.sources, sources),
    ):
        if planned != now:
            raise PlanInvalid(
                f"{address} holds a run of the {what} {', '.join(planned)}; the {what} now is "
                f"{', '.join(now)}. Name another folder, or begin this one anew with --fresh."
            )


def _parts(paths: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(paths)
    while part := list(islice(rest, size)):
        yield part
