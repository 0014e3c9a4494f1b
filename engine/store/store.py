"""Studies, their plans and their attempts, as files in and DataFrames out."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import StoreError
from engine.store.files import Files
from engine.store.lease import Lease, is_running
from engine.trial import CLOSED, Attempt, Epoch, TestImage, Trial

SEGMENT = 500
"""Loose attempts that are worth a segment: opening one file costs about as much as reading many rows."""


def _arrow_fields(record: type) -> list[pa.Field]:
    kinds = {
        "str": pa.string(),
        "State": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "bytes": pa.binary(),
        "tuple[str, ...]": pa.list_(pa.string()),
    }
    found = []
    for field in fields(record):
        kind = getattr(field.type, "__name__", str(field.type)) if isinstance(field.type, type) else str(field.type)
        kind = kind.removesuffix(" | None")
        kind = "str" if "Literal" in kind else kind
        if kind in kinds:
            found.append(pa.field(field.name, kinds[kind]))
    return found


TRIAL_SCHEMA = pa.schema([pa.field("id", pa.string()), *_arrow_fields(Trial)])
ATTEMPT_SCHEMA = pa.schema(
    [
        *TRIAL_SCHEMA,
        *_arrow_fields(Attempt),
        pa.field("epochs", pa.list_(pa.struct(_arrow_fields(Epoch)))),
        pa.field("test_images", pa.list_(pa.struct(_arrow_fields(TestImage)))),
    ]
)
_NESTED = ("epochs", "test_images")


class Store:
    """All studies under one root. Reading is safe at any moment, while runs write and compact."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @classmethod
    def at(cls, root: str | Path) -> "Store":
        """The store in the folder (or at the URI) `root`; it need not exist yet."""
        return cls(Files(root))

    # Studies

    def studies(self) -> list[str]:
        """Names of the studies that were begun, sorted."""
        folders = [name for name, is_folder in self.files.names("") if is_folder]
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

    def delete_study(self, study: str) -> None:
        """Remove a study with its results. Raises StoreError while a run holds it."""
        with Lease(self.files, study):
            pass
        self.files.delete_folder(study)

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
        rows = self._query(study, "SELECT number FROM rows WHERE id = ?", parameters=[trial_id], ids=[trial_id])
        return int(rows["number"].max()) + 1 if len(rows) else 1

    def attempts(self, study: str) -> pd.DataFrame:
        """A row per attempt, oldest first, without epochs and test images."""
        columns = [name for name in ATTEMPT_SCHEMA.names if name not in _NESTED]
        return self._query(
            study, f"SELECT DISTINCT ON (id, number) {', '.join(columns)} FROM rows ORDER BY started, id"
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
        kinds = [field.name for field in ATTEMPT_SCHEMA.field(name).type.value_type if field.name not in leave_out]
        wanted = None if ids is None else list(ids)
        return self._query(
            study,
            f"SELECT id, number, {', '.join(f'item.{kind} AS {kind}' for kind in kinds)} FROM ("
            f"SELECT id, number, unnest({name}) AS item FROM (SELECT DISTINCT ON (id, number) * FROM rows)"
            + ("" if wanted is None else " WHERE id IN (SELECT unnest(?))")
            + ")",
            parameters=[] if wanted is None else [wanted],
            ids=wanted,
            empty=["id", "number", *kinds],
        )

    def _query(
        self,
        study: str,
        sql: str,
        *,
        parameters: Sequence[Any] = (),
        ids: list[str] | None = None,
        empty: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        for attempt in range(5):
            paths = self._row_files(study, ids)
            if not paths:
                names = empty or [name for name in ATTEMPT_SCHEMA.names if name not in _NESTED]
                return pd.DataFrame({name: [] for name in names})
            with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
                try:
                    relation = f"(SELECT * FROM read_parquet({[str(path) for path in paths]!r}, union_by_name=true))"
                    frame: pd.DataFrame = connection.execute(f"WITH rows AS {relation} {sql}", list(parameters)).df()
                    return frame
                except duckdb.IOException as error:
                    # A compaction took a loose file away between listing and reading: its segment is there now.
                    if attempt == 4:
                        raise StoreError(f"{self.files.root}/{study}: results cannot be read ({error})") from error
        raise AssertionError("unreachable")

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
