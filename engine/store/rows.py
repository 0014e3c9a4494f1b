"""Rows of Parquet files, whatever version wrote them; what is damaged is named, and the rest is read."""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEYS = ("id", "number")
"""Columns that tell attempts apart; a file without them is none of ours."""
GROUP = 64
"""Attempts in a row group: few enough to find those of one cell, many enough that reading all stays cheap."""
DAMAGE = (pa.ArrowException, ValueError, OSError)
"""What pyarrow raises of a file that is cut or garbage. An OSError with a number is the disk's, not the file's."""


@dataclass(frozen=True)
class Rows:
    """What could be read of a file."""

    table: pa.Table
    damage: str = ""
    """Why rows are missing, or ""."""


def read_rows(path: Path, schema: pa.Schema, ids: Collection[str] | None = None) -> Rows:
    """The rows of the trials `ids` (all where None) as `schema` has them; what the file has no column for is null.

    Only the columns of `schema` are read, of its lists of records only the named fields. Of a damaged file the sound
    row groups come. Raises FileNotFoundError where the file is gone, other OSErrors where the disk refuses.
    """
    none = schema.empty_table()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            there = file.schema_arrow.names
            if absent := [name for name in KEYS if name not in there]:
                return Rows(none, f"it has no column '{absent[0]}'")
            columns = _columns(file, [field for field in schema if field.name in there])
            groups = range(file.num_row_groups) if ids is None else _groups(file, ids)
            if not len(groups):
                return Rows(none)
            try:
                table = file.read_row_groups(list(groups), columns, use_threads=len(groups) > 1)
                table.validate(full=True)
                return Rows(_wanted(conformed(table, schema), ids))
            except DAMAGE as error:
                sound = [part for group in groups if (part := _sound(file, group, columns, schema)) is not None]
                return Rows(_wanted(pa.concat_tables([none, *sound]), ids), reason(error))
    except DAMAGE as error:
        return Rows(none, reason(error))


def sound_groups(content: bytes) -> tuple[pa.Table | None, str]:
    """All columns of the sound row groups of a file, None where there are none; and what is wrong with it, or ""."""
    try:
        with pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True) as file:
            parts = [_sound(file, group) for group in range(file.num_row_groups)]
            found = [part for part in parts if part is not None]
            there = file.schema_arrow.names
            absent = [name for name in KEYS if name not in there]
            wrong = f"it has no column '{absent[0]}'" if absent else ""
            wrong = wrong or ("" if len(found) == len(parts) else "a part of it cannot be read")
            return (pa.concat_tables(found) if found and not absent else None), wrong
    except DAMAGE as error:
        return None, reason(error)


def reason(error: BaseException) -> str:
    """The error in one short line. Raises it where it is the disk's."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return " ".join(str(error).split())[:160] or type(error).__name__


def once(table: pa.Table) -> pa.Table:
    """The rows without doubles, which a compaction that was killed leaves."""
    keys = table.select(list(KEYS)).to_pandas()
    double = keys.duplicated().to_numpy()
    return table.filter(pa.array(~double)) if double.any() else table


def unnested(table: pa.Table, name: str, *, categorical: bool = False) -> pa.Table:
    """A row per record in the lists of column `name`: the keys (`categorical`: id in a dictionary), then its fields."""
    lists = table[name].combine_chunks()
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    owner = pa.array(np.repeat(np.arange(len(table)), counts))
    records = lists.flatten()
    keys = [table[key].combine_chunks() for key in KEYS]
    keys = [keys[0].dictionary_encode(), keys[1]] if categorical else keys
    return pa.Table.from_arrays(
        [key.take(owner) for key in keys] + records.flatten(), names=[*KEYS, *(field.name for field in records.type)]
    )


def parquet(table: pa.Table) -> bytes:
    """The table as a file whose pages tell when they are damaged."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def parquet_of_attempts(table: pa.Table) -> bytes:
    """The same, quick to read: only what is long is packed, since unpacking has a price for each column and group."""
    sink = io.BytesIO()
    long = dict.fromkeys((path for field in table.schema for path in _long(field.type, field.name)), "zstd")
    pq.write_table(
        table,
        sink,
        row_group_size=GROUP,
        compression=long or "none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def _long(kind: pa.DataType, path: str, inside: bool = False) -> list[str]:
    """Paths of the columns of lists of records."""
    if pa.types.is_list(kind):
        return _long(kind.value_type, f"{path}.list.element", inside)
    if pa.types.is_struct(kind):
        return [name for field in kind for name in _long(field.type, f"{path}.{field.name}", True)]
    return [path] if inside else []


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`, null where it has none. Raises one of `DAMAGE` where it cannot be."""
    if set(schema.names) <= set(table.schema.names) and (same := table.select(schema.names)).schema.equals(schema):
        return same
    arrays = [
        _cast(table[field.name].combine_chunks(), field.type)
        if field.name in table.schema.names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return array.cast(kind)
    records = array.flatten()
    has = {field.name: place for place, field in enumerate(records.type)}
    parts = records.flatten()
    fields = [
        _cast(parts[has[field.name]], field.type) if field.name in has else pa.nulls(len(records), field.type)
        for field in kind.value_type
    ]
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(kind.value_type)))


def _columns(file: pq.ParquetFile, wanted: Sequence[pa.Field]) -> list[str]:
    """Names of the file's columns that are wanted, `test_images.list.element.dice` for fields of records."""
    found: list[str] = []
    paths: set[str] = set()
    for field in wanted:
        if not (pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type)):
            found.append(field.name)
            continue
        paths = paths or {file.schema.column(place).path for place in range(len(file.schema))}
        names = {child.name for child in field.type.value_type}
        found += sorted(
            path for path in paths if path.startswith(f"{field.name}.list.") and path.split(".")[3] in names
        )
    return found


def _groups(file: pq.ParquetFile, ids: Collection[str]) -> list[int]:
    """Row groups that hold one of the ids."""
    values = pa.array(list(ids), pa.string())
    return [
        group
        for group in range(file.num_row_groups)
        if pc.any(pc.is_in(file.read_row_group(group, columns=["id"], use_threads=False)["id"], values)).as_py()
    ]


def _wanted(table: pa.Table, ids: Collection[str] | None) -> pa.Table:
    return table if ids is None else table.filter(pc.is_in(table["id"], pa.array(list(ids), pa.string())))


def _sound(
    file: pq.ParquetFile, group: int, columns: Sequence[str] | None = None, schema: pa.Schema | None = None
) -> pa.Table | None:
    try:
        part = file.read_row_group(group, columns=columns)
        part.validate(full=True)
        return part if schema is None else conformed(part, schema)
    except DAMAGE as error:
        reason(error)
        return None
