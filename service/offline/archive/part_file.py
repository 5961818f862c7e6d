"""A finished part of a run: a Parquet file with the columns of `Row`, under its fixed name."""

import io
import re
from dataclasses import fields
from functools import cache
from typing import Any, Final

from service.offline.archive.plan import Plan
from service.offline.archive.storage import Folder
from service.offline.row import Row

_NAME: Final = re.compile(r"part-(\d{5,})\.parquet")
_PLAN: Final = b"plan"


class PartInvalid(ValueError):
    """A part's file does not belong to the plan: it is damaged, or of another run."""


def part_name(number: int) -> str:
    """The name of a part's file."""
    return f"part-{number:05d}.parquet"


def finished_parts(names: set[str]) -> set[int]:
    """The numbers of the parts whose files are among these names."""
    return {int(found[1]) for name in names if (found := _NAME.fullmatch(name))}


def write_part(folder: Folder, plan: Plan, number: int, rows: list[Row]) -> None:
    """Writes the rows of a part: from then on it is finished.

    Raises:
        OSError: It cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema().with_metadata({_PLAN: plan.id.encode()})
    columns = [
        pa.array([_text(getattr(row, name)) for row in rows], schema.field(name).type)
        for name in schema.names
    ]
    content = io.BytesIO()
    pq.write_table(pa.table(columns, schema), content, compression="zstd")
    folder.write(part_name(number), content.getvalue())


def read_part(folder: Folder, plan: Plan, number: int, columns: list[str]) -> dict[str, list[Any]]:
    """Some columns of a finished part.

    Raises:
        PartInvalid: The file does not belong to the plan.
        OSError: It cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with folder.open(part_name(number)) as file:
        content = file.read()
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as damage:
        raise PartInvalid(f"{part_name(number)} is damaged: {damage}") from damage
    if (table.schema.metadata or {}).get(_PLAN) != plan.id.encode():
        raise PartInvalid(f"{part_name(number)} is of another run")
    if table.num_rows != plan.size(number):
        raise PartInvalid(f"{part_name(number)} has {table.num_rows} rows")
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def _text(value: Any) -> Any:
    """A value as Parquet has it: a path that is not UTF-8 with its bytes spelt out."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


@cache
def _schema() -> Any:
    import pyarrow as pa

    kinds: dict[Any, Any] = {str: pa.string(), float | None: pa.float64(), bool | None: pa.bool_()}
    return pa.schema([(field.name, kinds[field.type]) for field in fields(Row)])
