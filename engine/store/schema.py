"""Columns of what is stored, made from the dataclasses that are stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc

from engine.trial import Attempt, Bin, Epoch, TestImage, Trial

_NESTED = ("epochs", "test_images", "calibration")
CELL = ("fraction", "strategy", "learning_rate", "fold", "seed", "id", "number")
"""What a segment is sorted by, so that attempts of a cell stand together."""
_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    tuple[str, ...]: pa.list_(pa.string()),
    tuple[float | None, ...]: pa.list_(pa.float64()),
    tuple[float, ...]: pa.list_(pa.float64()),
}


def arrow_fields(record: type, *, leave_out: Collection[str] = ()) -> list[pa.Field]:
    """A column per field of the dataclass `record`; all may be null. Raises TypeError for a kind without column."""
    kinds = get_type_hints(record)
    names = [field.name for field in fields(record) if field.name not in leave_out]
    return [pa.field(name, _arrow_kind(kinds[name], f"{record.__name__}.{name}")) for name in names]


def _arrow_kind(kind: Any, place: str) -> pa.DataType:
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    plain: set[Any] = set()
    for option in options:
        plain |= {type(value) for value in get_args(option)} if get_origin(option) is Literal else {option}
    plain -= {NoneType}
    if len(plain) != 1 or not plain <= _ARROW.keys():
        known = ", ".join(getattr(one, "__name__", str(one)) for one in _ARROW)
        raise TypeError(f"{place} is {kind}, which the store has no column for; it has them for {known}")
    return _ARROW[plain.pop()]


TRIAL_SCHEMA = pa.schema([pa.field("id", pa.string()), *arrow_fields(Trial)])
ATTEMPT_SCHEMA = pa.schema(
    [
        *TRIAL_SCHEMA,
        *arrow_fields(Attempt, leave_out=("trial", *_NESTED)),
        pa.field("epochs", pa.list_(pa.struct(arrow_fields(Epoch)))),
        pa.field("test_images", pa.list_(pa.struct(arrow_fields(TestImage)))),
        pa.field("calibration", pa.list_(pa.struct(arrow_fields(Bin)))),
    ]
)
FLAT = tuple(name for name in ATTEMPT_SCHEMA.names if name not in _NESTED)
"""Columns of `Store.attempts`."""
_DEFAULTS = {field.name: field.default for field in fields(Trial) if field.default is not MISSING}
"""What a trial of an older version was, in the fields that it did not have."""


def schema_of(columns: Sequence[str], nested: Mapping[str, Sequence[str] | None] | None = None) -> pa.Schema:
    """The named columns, and of lists of records the named fields (None: all)."""
    kinds = [ATTEMPT_SCHEMA.field(name) for name in dict.fromkeys(columns)]
    for name, names in (nested or {}).items():
        records = [field for field in ATTEMPT_SCHEMA.field(name).type.value_type if not names or field.name in names]
        kinds.append(pa.field(name, pa.list_(pa.struct(records))))
    return pa.schema(kinds)


def filled(table: pa.Table) -> pa.Table:
    """The trials, with what a trial of an older version was in the fields that it did not have."""
    for name in [name for name in table.schema.names if name in _DEFAULTS]:
        if table[name].null_count:
            table = table.set_column(
                table.schema.get_field_index(name), table.schema.field(name), pc.fill_null(table[name], _DEFAULTS[name])
            )
    return table
