"""Results in, results out; whole, whatever runs or dies beside it."""

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import StoreError
from engine.store import Entry, Rows, Store, closed_ids, latest
from engine.store.rows import read_rows
from engine.store.schema import ATTEMPT_SCHEMA, arrow_fields
from engine.trial import Attempt, Bin, State, Trial
from tests.made import attempt, trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store on a local folder."""
    return Store.at(tmp_path)


def begin(store: Store, study: str = "s") -> None:
    """A study with two planned trials."""
    store.begin(study, "name: s")
    store.write_plan(study, [trial(fold=0), trial(fold=1)], {"question": "?"})


def test_a_study_comes_back_as_it_was_written(store: Store) -> None:
    begin(store)
    assert store.studies() == ["s"]
    assert store.study_text("s") == "name: s"
    assert store.facts("s") == {"question": "?"}
    plan = store.plan("s")
    assert list(plan["id"]) == [trial(fold=0).id, trial(fold=1).id]
    assert list(plan["fold"]) == [0, 1]
    assert list(plan["units"].iloc[0]) == list(trial().units)


def test_an_attempt_comes_back_as_it_was_written(store: Store) -> None:
    written = attempt(trial("block 9"), dice=0.75)
    store.append("s", written, weights=b"tensors")
    row = store.attempts("s").iloc[0]
    assert (row["id"], row["strategy"], row["dice"], row["state"]) == (written.trial.id, "block 9", 0.75, "completed")
    assert list(store.epochs("s")["validation_loss"]) == [epoch.validation_loss for epoch in written.epochs]
    images = store.test_images("s", [written.trial.id], masks=True)
    assert [bytes(mask) for mask in images["predicted_mask"]] == [image.predicted_mask for image in written.test_images]
    assert "predicted_mask" not in store.test_images("s")
    assert store.trained_weights("s", written.trial.id).read_bytes() == b"tensors"
    assert store.has_weights("s") == {written.trial.id}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=6, unique_by=lambda row: row[0]))
def test_compaction_changes_nothing_that_is_read(tmp_path: Path, rows: list[tuple[int, float]]) -> None:
    store = Store.at(tmp_path / str(time.monotonic_ns()))
    for fold, dice in rows:
        store.append("s", attempt(trial(fold=fold), dice=dice))
    before = store.attempts("s"), store.epochs("s"), store.test_images("s", masks=True)
    assert store.compact("s", least=1) == len(rows)
    after = store.attempts("s"), store.epochs("s"), store.test_images("s", masks=True)
    for first, second in zip(before, after, strict=True):
        keys = [name for name in ("id", "number", "epoch", "index") if name in first]
        pd.testing.assert_frame_equal(
            first.sort_values(keys, ignore_index=True), second.sort_values(keys, ignore_index=True)
        )


def test_a_compaction_that_was_killed_leaves_no_doubles(store: Store) -> None:
    kept = attempt(trial())
    store.append("s", kept)
    loose = store.files.read(f"s/attempts/{kept.trial.id}.1.parquet")
    assert loose is not None
    store.compact("s", least=1)
    store.files.write(f"s/attempts/{kept.trial.id}.1.parquet", loose)  # as if it died before deleting
    assert len(store.attempts("s")) == 1
    assert len(store.epochs("s")) == len(kept.epochs)


def test_small_numbers_of_attempts_stay_loose(store: Store) -> None:
    store.append("s", attempt(trial()))
    assert store.compact("s") == 0


def test_half_a_file_is_never_seen(store: Store) -> None:
    begin(store)
    store.append("s", attempt(trial()))
    folder = Path(store.files.root) / "s" / "attempts"
    (folder / ".half.parquet.0123").write_bytes(b"PAR1 and then the power went")
    assert len(store.attempts("s")) == 1


def test_two_readers_beside_a_writer_that_compacts_see_only_whole_attempts(store: Store) -> None:
    begin(store)
    counts: dict[str, list[int]] = {"first": [], "second": []}
    errors: list[BaseException] = []
    done = threading.Event()

    def read(seen: list[int]) -> None:
        own = Store.at(store.files.root)
        try:
            while not done.is_set():
                rows = own.attempts("s")
                assert len(own.epochs("s")) >= 3 * len(rows)
                seen.append(len(rows))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read, args=(seen,)) for seen in counts.values()]
    for reader in readers:
        reader.start()
    for number in range(60):
        store.append("s", attempt(trial(seed=number)))
        if number % 20 == 19:
            store.compact("s", least=1)
    done.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert all(seen == sorted(seen) and seen for seen in counts.values())
    assert len(store.attempts("s")) == 60


def test_the_closed_attempt_is_the_latest_and_crashes_do_not_close() -> None:
    rows = [
        {"id": "a", "number": 1, "state": "error"},
        {"id": "a", "number": 2, "state": "completed"},
        {"id": "b", "number": 1, "state": "error"},
        {"id": "b", "number": 2, "state": "error"},
        {"id": "c", "number": 1, "state": "not_converged"},
        {"id": "d", "number": 1, "state": "cancelled"},
    ]
    frame = pd.DataFrame(rows)
    assert closed_ids(frame) == {"a", "c"}
    assert latest(frame)[["id", "number"]].to_numpy().tolist() == [["a", 2], ["b", 2], ["c", 1], ["d", 1]]


def test_attempts_are_numbered_on(store: Store) -> None:
    assert store.next_number("s", trial().id) == 1
    store.append("s", attempt(trial(), number=1, state="error"))
    store.compact("s", least=1)
    assert store.next_number("s", trial().id) == 2


def test_what_is_not_there_is_said_in_one_line(store: Store) -> None:
    begin(store)
    with pytest.raises(StoreError, match=r"no study 'x' in .*; there: s"):
        store.study_text("x")
    with pytest.raises(
        StoreError, match=r"trained weights '0+\.safetensors' are not in the store; another study's name"
    ):
        store.trained_weights("s", "0" * 64)
    assert store.facts("x") == {}
    assert store.plan("x").empty
    assert store.attempts("x").empty


def test_no_results_have_the_columns_and_kinds_of_results(store: Store) -> None:
    full = attempt(trial(), cut_at=3, false_positive_rate=0.5)
    store.append("some", full)
    readers: list[Callable[[str], pd.DataFrame]] = [
        store.attempts,
        store.epochs,
        lambda study: store.test_images(study, masks=True),
    ]
    for reader in readers:
        pd.testing.assert_series_equal(reader("none").dtypes, reader("some").dtypes)
        assert len(reader("some"))
    for frame in (store.epochs("some", []), store.epochs("some", ["0" * 64])):
        pd.testing.assert_series_equal(frame.dtypes, store.epochs("some").dtypes)


def test_every_field_of_an_attempt_has_a_column() -> None:
    names = {field.name for field in dataclasses.fields(Attempt)} - {"trial"}
    assert names | {field.name for field in dataclasses.fields(Trial)} | {"id"} == set(ATTEMPT_SCHEMA.names)


def test_a_measure_of_a_kind_without_column_is_not_dropped_in_silence() -> None:
    kinds = [float | None, Literal["x", "y"] | None, State, tuple[str, ...], int]
    known = dataclasses.make_dataclass("Known", [(f"field_{place}", kind) for place, kind in enumerate(kinds)])
    expected = [pa.float64(), pa.string(), pa.string(), pa.list_(pa.string()), pa.int64()]
    assert [field.type for field in arrow_fields(known)] == expected
    for kind in (dict[str, float], float | int, complex, None):
        record = dataclasses.make_dataclass("Measured", [("curve", kind)])
        with pytest.raises(TypeError, match=r"Measured\.curve is .*no column for"):
            arrow_fields(record)
        assert arrow_fields(record, leave_out=("curve",)) == []


def narrowed(table: pa.Table) -> pa.Table:
    """The attempts of `table` as a version wrote them that knew fewer measures."""
    rows = table.to_pylist()
    for row in rows:
        for image in row["test_images"]:
            del image["iou"]
    images = [field for field in ATTEMPT_SCHEMA.field("test_images").type.value_type if field.name != "iou"]
    kinds = {"test_images": pa.list_(pa.struct(images))}
    left_out = ("iou", "false_positive_rate", "normal_images", "cut_at", "frozen_hash_after")
    schema = pa.schema(
        [field.with_type(kinds.get(field.name, field.type)) for field in ATTEMPT_SCHEMA if field.name not in left_out]
    )
    return pa.Table.from_pylist(rows, schema)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("newer", [False, True])
def test_attempts_of_an_older_version_are_read_with_nothing_where_it_had_no_column(
    store: Store, compacted: bool, newer: bool
) -> None:
    for fold in (0, 1):
        store.append("s", attempt(trial(fold=fold), dice=0.5, false_positive_rate=0.25))
    for fold in (0,) if newer else (0, 1):
        path = Path(store.files.root) / "s" / "attempts" / f"{trial(fold=fold).id}.1.parquet"
        pq.write_table(narrowed(pq.read_table(path)), path)
    if compacted:
        assert store.compact("s", least=1) == 2
    rows = store.attempts("s").set_index("fold")
    assert list(rows["dice"]) == [0.5, 0.5]
    missing = rows[["iou", "false_positive_rate", "normal_images", "frozen_hash_after"]].isna().all(axis=1)
    assert missing.sort_index().tolist() == [True, not newer]
    assert rows["false_positive_rate"].dropna().tolist() == [0.25] * newer
    images = store.test_images("s")
    assert images["iou"].notna().sum() == 4 * newer
    assert images["dice"].tolist() == [0.5] * 8
    assert store.next_number("s", trial(fold=0).id) == 2


def test_what_is_nested_in_an_attempt_comes_back_with_its_gaps(store: Store) -> None:
    images = tuple(
        dataclasses.replace(image, hd95=None if place else 2.5, class_dice=(0.5, None))
        for place, image in enumerate(attempt(trial(), images=2).test_images)
    )
    bins = tuple(Bin(low=low, pixels=9, probability_sum=4.5, positive_pixels=4) for low in (0.0, 0.5))
    written = attempt(trial(classes=2), test_images=images, calibration=bins, hd95=2.5, hd95_unit="mm")
    store.append("s", written)
    for compact in (False, True):
        if compact:
            store.compact("s", least=1)
        found = store.test_images("s", [written.trial.id])
        assert found["hd95"].isna().tolist() == [False, True]
        assert [[value if value == value else None for value in row] for row in found["class_dice"]] == [
            [0.5, None]
        ] * 2
        assert [Bin(**row) for row in store.calibration("s").drop(columns=["id", "number"]).to_dict("records")] == [
            *bins
        ]
        assert store.attempts("s", ["hd95", "hd95_unit"]).columns.tolist() == ["id", "number", "hd95", "hd95_unit"]


def test_only_files_that_are_new_are_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def count(path: Path, *arguments: object) -> Rows:
        opened.append(path.name)
        return read_rows(path, *arguments)

    monkeypatch.setattr("engine.store.store.read_rows", count)
    known: dict[Entry, Rows] = {}
    for fold in (0, 1):
        store.append("s", attempt(trial(fold=fold)))
        assert len(store.attempts("s", known=known)) == fold + 1
    assert [name.split(".")[0] for name in opened] == [trial(fold=0).id, trial(fold=1).id]
    store.compact("s", least=1)
    assert len(store.attempts("s", known=known)) == 2
    assert [entry.name.split("/")[0] for entry in known] == ["segments"]
    assert len(opened) == 3


def test_the_facts_of_an_older_version_have_a_list_of_start_weights(store: Store) -> None:
    told = {"sha256": "0" * 64, "description": "made"}
    for before, after in ((told, [{"name": "", **told}]), (None, []), ([told], [told])):
        store.write_plan("s", [trial()], {"start_weights": before})
        assert store.facts("s") == {"start_weights": after}


def test_the_trials_of_an_older_version_are_what_its_trials_were(store: Store) -> None:
    begin(store)
    store.append("s", attempt(trial()))
    newer = ("start", "draws", "method", "rank", "unfreeze_every", "classes", "encoder", "unit_modules", "code")
    for name in ("plan.parquet", f"attempts/{trial().id}.1.parquet"):
        path = Path(store.files.root) / "s" / name
        pq.write_table(pq.read_table(path).drop(list(newer)), path)
    for frame in (store.plan("s"), store.attempts("s")):
        assert frame.loc[0, list(newer)].tolist() == [getattr(trial(), name) for name in newer]
