"""Studies, their plans and their attempts, as files in and DataFrames out."""

import hashlib
import io
import json
import os
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, fields
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import StoreError
from engine.store.files import Files
from engine.store.lease import is_running
from engine.store.places import Entry
from engine.store.rows import (
    DAMAGE,
    KEYS,
    Rows,
    conformed,
    once,
    parquet,
    parquet_of_attempts,
    read_rows,
    reason,
    sound_groups,
    unnested,
)
from engine.store.schema import ATTEMPT_SCHEMA, CELL, FLAT, TRIAL_SCHEMA, filled, schema_of
from engine.trial import CLOSED, Attempt, TestImage, Trial

SEGMENT = 500
"""Loose attempts that are worth a segment: opening one file costs about as much as reading many rows."""
ARCHIVED = "archived"
"""File that tells that a study was archived; it says since when."""
TRIES = 20
"""Listings that a reader takes while a compaction takes files away; each time only new files are read."""


Known = MutableMapping[Entry, Rows]
"""What a caller keeps of files that it has read, since files of attempts never change; of one reading only."""


class Store:
    """All studies under one root. Reading is safe at any moment, while runs write and compact."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @classmethod
    def at(cls, root: str | Path, mirror: Path | None = None) -> "Store":
        """The store in the folder (or at the URI) `root`; it need not exist yet.

        What is read from a URI is kept in the folder `mirror`; where None, in one of this machine's cache.
        Raises StoreError for a URI that cannot be opened.
        """
        if mirror is None and "://" in str(root):
            name = hashlib.sha256(str(root).encode()).hexdigest()
            mirror = node_cache() / "mirror" / name
        return cls(Files(root, cache=mirror))

    def patient(self) -> "Store":
        """The same store for a run, which waits out a storage that is away for about 25 s."""
        return Store(self.files.patient())

    # Studies

    def studies(self, *, archived: bool = False) -> list[str]:
        """Names of the studies that were begun, sorted: those at hand, or those that were archived."""
        found = [
            (name, {file for file, _ in self.files.names(name)}) for name, is_folder in self.files.names() if is_folder
        ]
        return [name for name, files in found if "study.yaml" in files and (ARCHIVED in files) == archived]

    def has_study(self, study: str) -> bool:
        """Whether a study of this name was begun, archived or not."""
        return ("study.yaml", False) in self.files.names(study)

    def is_archived(self, study: str) -> bool:
        """Whether the study was archived: kept, but listed nowhere and not run."""
        return (ARCHIVED, False) in self.files.names(study)

    def begin(self, study: str, text: str) -> None:
        """Keep the study file as it was resolved: from here on the study is listed."""
        self.files.write(f"{study}/study.yaml", text.encode())

    def write_plan(self, study: str, trials: Sequence[Trial], facts: Mapping[str, Any]) -> None:
        """Keep the planned trials, in the order of running, and what is known of data, weights and machine."""
        self.files.write(f"{study}/facts.json", json.dumps(dict(facts), indent=1).encode())
        rows = [{"id": trial.id, **asdict(trial)} for trial in trials]
        self.files.write(f"{study}/plan.parquet", parquet(pa.Table.from_pylist(rows, TRIAL_SCHEMA)))

    def study_text(self, study: str) -> str:
        """The resolved study file as YAML. Raises StoreError where there is no such study."""
        content = self.files.read(f"{study}/study.yaml")
        if content is None:
            known = ", ".join(self.studies()) or "none yet"
            raise StoreError(f"no study '{study}' in {self.files.root}; there: {known}")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise self._damaged(study, "study.yaml", error) from error

    def facts(self, study: str) -> dict[str, Any]:
        """What is known of the study's data, start weights and machine; {} before it was planned.

        `start_weights` is a list whatever version wrote it. Raises StoreError where the file is damaged.
        """
        found = self._json(study, "facts.json")
        if "start_weights" in found:
            told = found["start_weights"] or []
            found["start_weights"] = [{"name": "", **told}] if isinstance(told, dict) else told
        return found

    def plan(self, study: str) -> pd.DataFrame:
        """A row per planned trial with its id, in the order of running; empty before it was planned.

        Raises StoreError where the file is damaged.
        """
        content = self.files.read(f"{study}/plan.parquet")
        table = TRIAL_SCHEMA.empty_table()
        if content is not None:
            try:
                table = conformed(pq.read_table(io.BytesIO(content)), TRIAL_SCHEMA)
            except DAMAGE as error:
                raise self._damaged(study, "plan.parquet", error) from error
        frame: pd.DataFrame = filled(table).to_pandas()
        return frame

    def _json(self, study: str, name: str) -> dict[str, Any]:
        content = self.files.read(f"{study}/{name}")
        try:
            return dict(json.loads(content)) if content is not None else {}
        except (ValueError, TypeError) as error:
            raise self._damaged(study, name, error) from error

    def _damaged(self, study: str, name: str, error: BaseException) -> StoreError:
        return StoreError(
            f"{self.files.root}/{study}/{name} is damaged ({reason(error)}); run the study again: it is written anew, "
            "and what was trained is kept"
        )

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
        self.files.write(f"{study}/attempts/{attempt.trial.id}.{attempt.number}.parquet", parquet_of_attempts(table))

    def next_number(self, study: str, trial_id: str) -> int:
        """Number of the next attempt at a trial, from 1."""
        return self.standing(study, trial_id)[0]

    def standing(self, study: str, trial_id: str) -> tuple[int, str]:
        """Number of the next attempt at a trial, and the state that closed the trial, or "" while it is open."""
        found = self.rows(study, schema_of((*KEYS, "state")), [trial_id]).table
        closed = [state for state in found["state"].to_pylist() if state in CLOSED]
        return max(found["number"].to_pylist(), default=0) + 1, closed[0] if closed else ""

    def attempts(
        self,
        study: str,
        columns: Sequence[str] = FLAT,
        *,
        ids: Iterable[str] | None = None,
        known: Known | None = None,
    ) -> pd.DataFrame:
        """A row per attempt at the trials `ids` (all where None), oldest first, without epochs and test images.

        `columns` besides id and number.

        Attempts in damaged files are left out, see `damaged`.
        """
        wanted = [*KEYS, "started", *columns]
        table = filled(once(self.rows(study, schema_of(wanted), ids, known=known).table))
        frame: pd.DataFrame = table.sort_by([("started", "ascending"), ("id", "ascending")]).to_pandas()
        return frame[[name for name in FLAT if name in {*KEYS, *columns}]]

    def epochs(self, study: str, ids: Iterable[str] | None = None) -> pd.DataFrame:
        """A row per epoch of the trials `ids` (all where None): id, number and the fields of `Epoch`."""
        return self._records(study, "epochs", ids)

    def test_images(
        self,
        study: str,
        ids: Iterable[str] | None = None,
        *,
        masks: bool = False,
        columns: Sequence[str] | None = None,
        known: Known | None = None,
    ) -> pd.DataFrame:
        """A row per test image of the trials `ids`: id, number and the fields of `TestImage`.

        The packed predicted masks come only with `masks`, since they are most of the bytes. `columns` names the
        fields where not all are wanted; `id` is categorical then. The images of an attempt stand together.
        """
        names = columns or [field.name for field in fields(TestImage) if masks or field.name != "predicted_mask"]
        return self._records(study, "test_images", ids, names, known, categorical=columns is not None)

    def calibration(self, study: str, ids: Iterable[str] | None = None) -> pd.DataFrame:
        """A row per bin of predicted probability of the trials `ids`: id, number and the fields of `Bin`."""
        return self._records(study, "calibration", ids)

    def _records(
        self,
        study: str,
        name: str,
        ids: Iterable[str] | None,
        names: Sequence[str] | None = None,
        known: Known | None = None,
        *,
        categorical: bool = False,
    ) -> pd.DataFrame:
        found = self.rows(study, schema_of(KEYS, {name: names}), ids, known=known)
        frame: pd.DataFrame = unnested(once(found.table), name, categorical=categorical).to_pandas()
        return frame

    def rows(
        self, study: str, schema: pa.Schema, ids: Iterable[str] | None = None, *, known: Known | None = None
    ) -> Rows:
        """Attempts at the trials `ids` (all where None) as `schema` has them; doubles may be among them.

        `damage` has a line for each file that cannot be read, or not wholly. Files in `known` are not read again,
        those that are read are put there, and those that are gone are taken out.
        """
        wanted = None if ids is None else set(ids)
        kept = dict(known or {})
        for _ in range(TRIES):
            files, gone = self._files_of(study, wanted), False
            fresh = [(f"{study}/{entry.name}", entry) for entry in files if entry not in kept]
            self.files.mirror(fresh)
            for name, entry in fresh:
                try:
                    kept[entry] = read_rows(self.files.local_path(name, entry), schema, wanted)
                except FileNotFoundError:
                    gone = True  # a compaction took it away since the listing: its segment is there now
                except OSError as error:
                    raise self._unreadable(study, error) from error
            if gone:
                continue
            if known is not None:
                for entry in set(known) - set(files):
                    known.pop(entry, None)
                known.update({entry: kept[entry] for entry in files})
            parts = [(entry.name, kept[entry]) for entry in files]
            damage = [f"{name} ({rows.damage})" for name, rows in parts if rows.damage]
            return Rows(pa.concat_tables([schema.empty_table(), *(rows.table for _, rows in parts)]), "\n".join(damage))
        raise self._unreadable(study, "files are taken away while they are read")

    def damaged(self, study: str) -> list[str]:
        """A line for each file of attempts that cannot be opened: its name in the study's folder, and why."""
        return self.rows(study, schema_of(KEYS)).damage.splitlines()

    def _unreadable(self, study: str, why: object) -> StoreError:
        return StoreError(f"{self.files.root}/{study}: results cannot be read ({' '.join(str(why).split())})")

    def _files_of(self, study: str, ids: Collection[str] | None = None) -> list[Entry]:
        """Files that hold attempts: loose ones before segments, so that nothing falls between two listings."""
        return [
            entry._replace(name=f"{folder}/{entry.name}")
            for folder in ("attempts", "segments")
            for entry in self.files.entries(f"{study}/{folder}")
            if entry.name.endswith(".parquet")
            and not entry.is_folder
            and (ids is None or folder == "segments" or entry.name.split(".")[0] in ids)
        ]

    def compact(self, study: str, *, least: int = SEGMENT) -> int:
        """Gather loose attempts into a segment where there are at least `least`; gives how many were gathered.

        May be killed at any moment: the segment is written before loose files go, and readers drop doubles. Damaged
        files stay where they are.
        """
        names = [name for name, _ in self.files.names(f"{study}/attempts") if name.endswith(".parquet")]
        loose = {name: sound_groups(self.files.read(f"{study}/attempts/{name}") or b"") for name in names}
        sound = {name: table for name, (table, wrong) in loose.items() if table is not None and not wrong}
        if len(sound) < max(least, 1):
            return 0
        self._write_segment(study, list(sound.values()), "\n".join(sound))
        for name in sound:
            self.files.delete(f"{study}/attempts/{name}")
        return len(sound)

    def _write_segment(self, study: str, tables: Sequence[pa.Table], names: str) -> None:
        # Attempts of a cell stand together, in small row groups, so that they are found without reading the others.
        segment = pa.concat_tables(tables, promote_options="permissive")
        segment = segment.sort_by([(name, "ascending") for name in CELL if name in segment.schema.names])
        name = hashlib.sha256(names.encode()).hexdigest()
        self.files.write(f"{study}/segments/{name}.parquet", parquet_of_attempts(segment))

    def put_aside(self, study: str) -> list[str]:
        """Move damaged files into the folder `damaged` of the study; a line for each, with what is to be done.

        What is sound in them is kept. Only for the run that holds the study's lease: readers leave damaged files
        where they are.
        """
        said: list[str] = []
        for name in ("plan.parquet", "facts.json", "progress.json"):
            try:
                self.plan(study) if name == "plan.parquet" else self._json(study, name)
            except StoreError as error:
                self.files.move(f"{study}/{name}", self._aside(study, name))
                said += error.problems
        for entry in self._files_of(study):
            path = f"{study}/{entry.name}"
            content = self.files.read(path)
            if content is None:
                continue
            table, wrong = sound_groups(content)
            if not wrong:
                continue
            if table is not None:
                self._write_segment(study, [table], hashlib.sha256(content).hexdigest())
            place = self._aside(study, path.split("/")[-1])
            self.files.move(path, place)
            said.append(f"{self.files.path(path)} is damaged ({wrong}) and lies in {place} now; its trials run again")
        return said

    def _aside(self, study: str, name: str) -> str:
        taken = {name for name, _ in self.files.names(f"{study}/damaged")}
        names = (name if number == 1 else f"{number} {name}" for number in count(1))
        return f"{study}/damaged/{next(free for free in names if free not in taken)}"

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

    def delete_weights(self, study: str, trial_id: str) -> None:
        """Remove a trial's trained tensors; its row stays."""
        self.files.delete(f"{study}/weights/{trial_id}.safetensors")

    def write_embedding(self, study: str, trial_id: str, content: bytes) -> None:
        """Keep what a trial's last hidden layer says of its images (safetensors, see `engine.embeddings`).

        What it said before training is kept under `engine.embeddings.before_training(trial_id)`.
        """
        self.files.write(f"{study}/embeddings/{trial_id}.safetensors", content)

    def embedding(self, study: str, trial_id: str) -> Path:
        """Path of a trial's embedding. Raises StoreError."""
        return self._weights(study, f"{trial_id}.safetensors", "embeddings", "embeddings")

    def has_embeddings(self, study: str) -> set[str]:
        """Ids of the trials whose embedding is kept, and `before_training` of those whose earlier one is."""
        return {name.removesuffix(".safetensors") for name, _ in self.files.names(f"{study}/embeddings")}

    def _weights(self, study: str, name: str, what: str, folder: str = "weights") -> Path:
        try:
            path = self.files.local_path(f"{study}/{folder}/{name}")
        except FileNotFoundError:
            path = Path()
        if not path.is_file():
            again = "run the study again to make them"
            if what == "trained weights":
                again = "another study's name, with 'keep_weights: all', trains them again"
            raise StoreError(f"study '{study}': {what} '{name}' are not in the store; {again}")
        return path

    # What a run is doing

    def write_progress(self, study: str, progress: Mapping[str, Any]) -> None:
        """Keep what a run is doing now, for pages and other terminals."""
        self.files.write(f"{study}/progress.json", json.dumps(dict(progress)).encode())

    def progress(self, study: str) -> dict[str, Any]:
        """What the last run said of itself, {} before any; `alive` tells whether its process still runs.

        Where the file is damaged, `state` is "unknown" and `error` says so: the next word of a run replaces it.
        """
        try:
            told = self._json(study, "progress.json")
        except StoreError as error:
            told = {"state": "unknown", "error": str(error)}
        return {**told, "alive": is_running(self.files, study)}


def node_cache() -> Path:
    """Folder of this machine for what can be made or fetched again: `WHICHLAYERS_CACHE`, or one of the user's."""
    return Path(os.environ.get("WHICHLAYERS_CACHE") or platformdirs.user_cache_path("whichlayers"))


def latest(attempts: pd.DataFrame) -> pd.DataFrame:
    """One row per trial: its closed attempt, or else its last."""
    ordered = attempts.assign(_closed=attempts["state"].isin(CLOSED)).sort_values(["_closed", "number"], kind="stable")
    return ordered.drop_duplicates("id", keep="last").drop(columns="_closed").sort_index()


def closed_ids(attempts: pd.DataFrame) -> set[str]:
    """Ids of the trials that need no further attempt."""
    return set(attempts.loc[attempts["state"].isin(CLOSED), "id"])
