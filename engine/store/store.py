"""Studies, their plans and their attempts, as files in and DataFrames out."""

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import duckdb
import pandas as pd
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import StoreError
from engine.store.files import Files
from engine.store.lease import is_running
from engine.trial import CLOSED, Attempt, Epoch, TestImage, Trial

SEGMENT = 500
"""Loose attempts that are worth a segment: opening one file costs about as much as reading many rows."""


_NESTED = ("epochs", "test_images")
_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    tuple[str, ...]: pa.list_(pa.string()),
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
    ]
)
_FLAT_SCHEMA = pa.schema([field for field in ATTEMPT_SCHEMA if field.name not in _NESTED])


class Store:
    """All studies under one root. Reading is safe at any moment, while runs write and compact."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @classmethod
    def at(cls, root: str | Path, mirror: Path | None = None) -> "Store":
        """The store in the folder (or at the URI) `root`; it need not exist yet.

        What is read from a URI is kept in the folder `mirror`; where None, in one of the user's cache.
        Raises StoreError for a URI that cannot be opened.
        """
        if mirror is None:
            name = hashlib.sha256(str(root).encode()).hexdigest()
            mirror = platformdirs.user_cache_path("whichlayers") / "mirror" / name
        return cls(Files(root, cache=mirror))

    # Studies

    def studies(self) -> list[str]:
        """Names of the studies that were begun, sorted."""
        folders = [name for name, is_folder in self.files.names() if is_folder]
        return [name for name in folders if ("study.yaml", False) in self.files.names(name)]

    def begin(self, study: str, text: str) -> None:
        """Keep the study file as it was resolved: from here on the study is listed."""
        self.files.write(f"{study}/study.yaml", text.encode())

    def write_plan(self, study: str, trials: Sequence[Trial], facts: Mapping[str, Any]) -> None:
        """Keep the planned trials, in the order of running, and what is known of data, weights and machine."""
        self.files.write(f"{study}/facts.json", json.dumps(dict(facts), indent=1).encode())
        rows = [{"id": trial.id, **asdict(trial)} for trial in trials]
        self.files.write(f"{study}/plan.parquet", _parquet(pa.Table.from_pylist(rows, TRIAL_SCHEMA)))

    def study_text(self, study: str) -> str:
        """The resolved study file as YAML. Raises StoreError where there is no such study."""
        content = self.files.read(f"{study}/study.yaml")
        if content is None:
            known = ", ".join(self.studies()) or "none yet"
            raise StoreError(f"no study '{study}' in {self.files.root}; there: {known}")
        return content.decode()

    def facts(self, study: str) -> dict[str, Any]:
        """What is known of the study's data, start weights and machine; {} before it was planned."""
        content = self.files.read(f"{study}/facts.json")
        return dict(json.loads(content)) if content else {}

    def plan(self, study: str) -> pd.DataFrame:
        """A row per planned trial with its id, in the order of running; empty before it was planned."""
        content = self.files.read(f"{study}/plan.parquet")
        table = pq.read_table(io.BytesIO(content)) if content else TRIAL_SCHEMA.empty_table()
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def forget(self, study: str) -> None:
        """Remove what a run writes before its plan, and the study's folder unless something else is in it."""
        for name in ("study.yaml", "progress.json"):
            self.files.delete(f"{study}/{name}")
        self.files.delete_empty(study)

    # Attempts

    def append(self, study: str, attempt: Attempt, *, weights: bytes | None = None) -> None:
        """Commit one attempt: trained tensors first, the row last, so that a row is never without them."""
        if weights is not None:
            self.files.write(f"{study}/weights/{attempt.trial.id}.safetensors", weights)
        row = {"id": attempt.trial.id, **asdict(attempt.trial), **asdict(attempt)}
        table = pa.Table.from_pylist([row], ATTEMPT_SCHEMA)
        self.files.write(f"{study}/attempts/{attempt.trial.id}.{attempt.number}.parquet", _parquet(table))

    def next_number(self, study: str, trial_id: str) -> int:
        """Number of the next attempt at a trial, from 1."""
        numbers = self._query(study, "SELECT number FROM rows", pa.schema([ATTEMPT_SCHEMA.field("number")]), [trial_id])
        return int(numbers["number"].max()) + 1 if len(numbers) else 1

    def attempts(self, study: str) -> pd.DataFrame:
        """A row per attempt, oldest first, without epochs and test images."""
        columns = ", ".join(_FLAT_SCHEMA.names)
        return self._query(
            study, f"SELECT DISTINCT ON (id, number) {columns} FROM rows ORDER BY started, id", _FLAT_SCHEMA
        )

    def epochs(self, study: str, ids: Iterable[str] | None = None) -> pd.DataFrame:
        """A row per epoch of the trials `ids` (all where None): id, number and the fields of `Epoch`."""
        return self._nested(study, "epochs", ids)

    def test_images(self, study: str, ids: Iterable[str] | None = None, *, masks: bool = False) -> pd.DataFrame:
        """A row per test image of the trials `ids`: id, number and the fields of `TestImage`.

        The packed predicted masks come only with `masks`, since they are most of the bytes.
        """
        return self._nested(study, "test_images", ids, leave_out=() if masks else ("predicted_mask",))

    def _nested(
        self, study: str, name: str, ids: Iterable[str] | None, leave_out: tuple[str, ...] = ()
    ) -> pd.DataFrame:
        kinds = [field for field in ATTEMPT_SCHEMA.field(name).type.value_type if field.name not in leave_out]
        columns = ", ".join(f"item.{field.name} AS {field.name}" for field in kinds)
        return self._query(
            study,
            f"SELECT id, number, {columns} FROM (SELECT id, number, unnest({name}) AS item FROM ("
            f"SELECT DISTINCT ON (id, number) id, number, {name} FROM rows))",
            pa.schema([ATTEMPT_SCHEMA.field("id"), ATTEMPT_SCHEMA.field("number"), *kinds]),
            None if ids is None else list(ids),
        )

    def _query(self, study: str, sql: str, schema: pa.Schema, ids: list[str] | None = None) -> pd.DataFrame:
        """What `sql` selects of the relation `rows`, the attempts at the trials `ids` (all where None).

        `schema` is that of the answer, for one without rows.
        """
        wanted = "" if ids is None else f"WHERE id IN ({', '.join(['?'] * len(ids)) or 'NULL'})"
        for attempt in range(5):
            try:
                paths = [str(path) for path in self._row_files(study, ids)]
                if not paths:
                    break
                with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
                    # Files of older versions have fewer columns: the declared ones are NULL there.
                    connection.register("declared", ATTEMPT_SCHEMA.empty_table())
                    rows = (
                        f"SELECT * FROM declared UNION ALL BY NAME "
                        f"SELECT * FROM read_parquet({paths!r}, union_by_name=true) {wanted}"
                    )
                    frame: pd.DataFrame = connection.execute(f"WITH rows AS ({rows}) {sql}", ids or []).df()
                if len(frame):
                    return frame
                break
            except (duckdb.IOException, FileNotFoundError) as error:
                # A compaction took a loose file away between listing and reading: its segment is there now.
                if attempt == 4:
                    reason = " ".join(str(error).split())
                    raise StoreError(f"{self.files.root}/{study}: results cannot be read ({reason})") from error
        empty: pd.DataFrame = schema.empty_table().to_pandas()
        return empty

    def _row_files(self, study: str, ids: list[str] | None = None) -> list[Path]:
        """Files that hold attempts: loose ones before segments, so that nothing falls between two listings."""
        loose = [name for name, _ in self.files.names(f"{study}/attempts") if name.endswith(".parquet")]
        segments = [name for name, _ in self.files.names(f"{study}/segments") if name.endswith(".parquet")]
        if ids is not None:
            wanted = set(ids)
            loose = [name for name in loose if name.split(".")[0] in wanted]
        names = [f"{study}/attempts/{name}" for name in loose] + [f"{study}/segments/{name}" for name in segments]
        return [self.files.local_path(name) for name in names]

    def compact(self, study: str, *, least: int = SEGMENT) -> int:
        """Gather loose attempts into a segment where there are at least `least`; gives how many were gathered.

        May be killed at any moment: the segment is written before loose files go, and readers drop doubles.
        """
        loose = [name for name, _ in self.files.names(f"{study}/attempts") if name.endswith(".parquet")]
        if len(loose) < max(least, 1):
            return 0
        tables = [pq.read_table(self.files.local_path(f"{study}/attempts/{name}")) for name in loose]
        # Sorted and in small row groups, so that the few ids of one cell are found without reading the others.
        segment = pa.concat_tables(tables, promote_options="default").sort_by("id")
        name = hashlib.sha256("\n".join(loose).encode()).hexdigest()
        self.files.write(f"{study}/segments/{name}.parquet", _parquet(segment, rows_per_group=16))
        for name in loose:
            self.files.delete(f"{study}/attempts/{name}")
        return len(loose)

    # Weights

    def write_start_weights(self, study: str, sha256: str, content: bytes) -> None:
        """Keep the start weights beside the trials that need them, once."""
        name = f"start-{sha256}.safetensors"
        if (name, False) not in self.files.names(f"{study}/weights"):
            self.files.write(f"{study}/weights/{name}", content)

    def start_weights(self, study: str, sha256: str) -> Path:
        """Path of the start weights with this hash. Raises StoreError where they are gone."""
        return self._weights(study, f"start-{sha256}.safetensors", "start weights")

    def trained_weights(self, study: str, trial_id: str) -> Path:
        """Path of a trial's trained tensors (frozen ones are in its start weights). Raises StoreError."""
        return self._weights(study, f"{trial_id}.safetensors", "trained weights")

    def has_weights(self, study: str) -> set[str]:
        """Ids of the trials whose trained tensors are kept."""
        names = [name.removesuffix(".safetensors") for name, _ in self.files.names(f"{study}/weights")]
        return {name for name in names if not name.startswith("start-")}

    def _weights(self, study: str, name: str, what: str) -> Path:
        try:
            path = self.files.local_path(f"{study}/weights/{name}")
        except FileNotFoundError:
            path = Path()
        if not path.is_file():
            raise StoreError(f"study '{study}': {what} '{name}' are not in the store; run the study again to make them")
        return path

    # What a run is doing

    def write_progress(self, study: str, progress: Mapping[str, Any]) -> None:
        """Keep what a run is doing now, for pages and other terminals."""
        self.files.write(f"{study}/progress.json", json.dumps(dict(progress)).encode())

    def progress(self, study: str) -> dict[str, Any]:
        """What the last run said of itself, {} before any; `alive` tells whether its process still runs."""
        content = self.files.read(f"{study}/progress.json")
        return {**(json.loads(content) if content else {}), "alive": is_running(self.files, study)}


def latest(attempts: pd.DataFrame) -> pd.DataFrame:
    """One row per trial: its closed attempt, or else its last."""
    ordered = attempts.assign(_closed=attempts["state"].isin(CLOSED)).sort_values(["_closed", "number"], kind="stable")
    return ordered.drop_duplicates("id", keep="last").drop(columns="_closed").sort_index()


def closed_ids(attempts: pd.DataFrame) -> set[str]:
    """Ids of the trials that need no further attempt."""
    return set(attempts.loc[attempts["state"].isin(CLOSED), "id"])


def _parquet(table: pa.Table, rows_per_group: int | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=rows_per_group)
    return sink.getvalue()
