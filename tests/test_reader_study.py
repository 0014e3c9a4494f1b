"""The reader study: which frames, what is kept of answers whatever happens, and tables of them."""

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pyarrow import fs

from engine import reader_study
from engine.datasets import Dataset
from engine.errors import DataError, StoreError, WhichLayersError
from engine.reader_study import Frames, Sitting
from engine.reader_study.journal import lines
from engine.reader_study.reading import reading
from engine.store import Store
from engine.store.files import Files
from tests.made_classification import classification_trials
from tests.made_readers import STUDY, made_animals, made_frames, made_readers, person


@pytest.fixture(scope="module")
def animals() -> Dataset:
    return made_animals()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_readers(tmp_path / "results", tmp_path / "cache")


@pytest.fixture
def frames(store: Store, animals: Dataset) -> Frames:
    return made_frames(store, animals)


def file_of(store: Store, name: str = "R1") -> Path:
    return Path(store.files.path(f"{STUDY}/readers/{reader_study.reader_id(name)}.jsonl"))


def give(sitting: Sitting, number: int = 1, seconds: float = 2.0) -> None:
    """Answers that many frames with the first class."""
    for _ in range(number):
        index = sitting.reading().current
        assert index is not None
        sitting.answer(index, sitting.frames.classes[0], seconds=seconds)


# Frames


def test_the_frames_of_a_fold_are_those_that_its_networks_are_tested_on(store: Store, animals: Dataset) -> None:
    from engine.training import split_of

    for trial in classification_trials(animals.fingerprint, strategies=["whole network"], fractions=[75]):
        split, chosen = split_of(trial, animals), made_frames(store, animals, fold=trial.fold)
        assert tuple(frame.index for frame in chosen.frames) == split.test
        assert {index for index, _ in chosen.labelled} == {*split.training, *split.validation}
        if trial.units:
            assert {frame.fold for frame in chosen.frames} == {trial.fold}


def test_all_folds_are_every_image_and_leave_none_to_look_at(store: Store, animals: Dataset) -> None:
    chosen = made_frames(store, animals, fold=None)
    assert len(chosen.frames) == len(animals.table)
    assert {frame.fold for frame in chosen.frames} == {0, 1, 2, 3}
    assert chosen.labelled == ()


@pytest.mark.parametrize("fold", [0, None])
@pytest.mark.parametrize("most", [1, 3, 10_000])
def test_labelled_frames_share_no_patient_with_a_frame(
    store: Store, animals: Dataset, fold: int | None, most: int
) -> None:
    chosen = made_frames(store, animals, fold=fold, most=most)
    patients = {animals.table["group"].iloc[index] for index, _ in chosen.labelled}
    assert len(chosen.frames) == min(most, 28 if fold == 0 else 112)
    assert not patients & {frame.group for frame in chosen.frames}
    assert all(animals.table["label"].iloc[index] == label for index, label in chosen.labelled)


def test_frames_are_drawn_alike_for_all_and_need_a_fold_that_is_planned(store: Store, animals: Dataset) -> None:
    assert made_frames(store, animals, most=5) == made_frames(store, animals, most=5)
    assert made_frames(store, animals, most=5) != made_frames(store, animals, most=5, fold=1)
    with pytest.raises(DataError, match="fold 9: not planned; expected one of 0, 1, 2, 3"):
        made_frames(store, animals, fold=9)
    with pytest.raises(DataError, match="0 frames asked"):
        made_frames(store, animals, most=0)


def test_every_reader_has_the_same_frames_in_an_order_of_the_own(store: Store, frames: Frames) -> None:
    orders = [reader_study.open_reader(store, STUDY, person(name), frames).reading().order for name in ("R1", "R2")]
    assert sorted(orders[0]) == sorted(orders[1]) == [frame.index for frame in frames.frames]
    assert orders[0] != orders[1] != tuple(sorted(orders[1]))
    assert reader_study.open_reader(store, STUDY, person("r1 "), frames).reading().order == orders[0]


def test_the_frames_are_fixed_with_the_first_reader(store: Store, animals: Dataset, frames: Frames) -> None:
    reader_study.open_reader(store, STUDY, person(), frames)
    assert reader_study.kept_frames(store, STUDY) == frames
    with pytest.raises(StoreError, match="have 28 frames of fold 0, and 5 frames of fold 0, at random were asked"):
        reader_study.open_reader(store, STUDY, person("R2"), made_frames(store, animals, most=5))
    assert reader_study.readers(store, STUDY) == [reader_study.reader_id("R1")]


def test_two_first_readers_at_once_get_the_same_frames(store: Store, animals: Dataset) -> None:
    asked = [made_frames(store, animals, most=most) for most in (3, 4, 5, 6)]

    def begin(number: int) -> bool:
        try:
            reader_study.open_reader(store, STUDY, person(f"R{number}"), asked[number])
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(begin, range(4))) == 1


# Readers


def test_a_reader_is_known_by_name_whatever_its_capitals_and_spaces() -> None:
    assert reader_study.reader_id("Dr. Müller") == reader_study.reader_id("  dr.  MÜLLER ")
    assert reader_study.reader_id("Dr. Müller").startswith("dr-muller-")
    assert reader_study.reader_id("放射线") != reader_study.reader_id("医生")


@given(some.text(max_size=80))
def test_a_readers_id_is_a_name_for_a_file(name: str) -> None:
    made = reader_study.reader_id(name)
    assert made.replace("-", "").isalnum()
    assert made.isascii()
    assert len(made) <= 49


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "  "}, "name: empty"),
        ({"name": "x" * 61}, "61 letters; at most 60"),
        ({"name": "a\x07b"}, "cannot be printed"),
        ({"years": float("nan")}, "years of experience: nan"),
        ({"examinations": -1}, "examinations: -1"),
        ({"exposure": "yes"}, "expected one of none, a few, many, unknown"),
        ({"note": "x" * 501}, "note: at most 500"),
    ],
)
def test_answers_at_the_start_that_cannot_be_are_said(
    store: Store, frames: Frames, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        reader_study.open_reader(store, STUDY, person(**changes), frames)
    assert reader_study.kept_frames(store, STUDY) is None


def test_a_store_elsewhere_is_refused_in_one_line(animals: Dataset, store: Store, frames: Frames) -> None:
    far = Store(Files("bucket", fs._MockFileSystem()))
    with pytest.raises(StoreError, match="readers need a local folder"):
        reader_study.open_reader(far, STUDY, person(), frames)
    assert len(reader_study.answers(far, STUDY)) == 0


# What is kept


def test_an_answer_is_on_disk_before_the_call_returns(
    store: Store, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting, path = reader_study.open_reader(store, STUDY, person(), frames), file_of(store)
    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (sync(descriptor), synced.append(path.stat().st_size))[0])
    for _ in range(3):
        give(sitting)
        assert synced[-1] == path.stat().st_size
        assert path.read_bytes().endswith(b"\n")
    assert len(synced) == 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=some.lists(some.sampled_from(["a", "b", "undo", "look", "again", "other", "torn"]), max_size=25))
def test_the_file_only_grows_and_says_what_was_done(
    tmp_path_factory: pytest.TempPathFactory, frames: Frames, acts: list[str]
) -> None:
    store = made_empty(tmp_path_factory.mktemp("acts"))
    sitting = reader_study.open_reader(store, STUDY, person(), frames)
    beside = reader_study.continue_reader(store, STUDY, sitting.id)  # as another server has it
    path, kept, undone = file_of(store), [], 0
    before = path.read_bytes()
    for act in acts:
        current = sitting.reading().current
        if act == "undo" and kept:
            sitting.undo(kept.pop()[0])
            undone += 1
        elif act == "look":
            sitting.looked((frames.labelled[0][0],), large=True, seconds=1.0)
        elif act == "again":
            sitting = reader_study.continue_reader(store, STUDY, sitting.id)
        elif act == "torn":
            with path.open("ab") as file:
                file.write(b'{"kind":"answer","index":')
        elif act in ("a", "b", "other") and current is not None:
            predicted = frames.classes["ab".find(act)]
            (beside if act == "other" else sitting).answer(current, predicted, seconds=1.0)
            kept.append((current, predicted))
        now = path.read_bytes()
        assert now.startswith(before)
        before = now
    told = reader_study.answers(store, STUDY)
    assert list(zip(told["index"], told["predicted"], strict=True)) == kept
    assert reader_study.summary(store, STUDY).iloc[0]["undone"] == undone
    assert [(one.frame.index, one.predicted) for one in sitting.reading().standing] == kept


def made_empty(root: Path) -> Store:
    store = Store.at(root)
    store.begin(STUDY, f"name: {STUDY}\n")
    return store


def test_a_line_that_was_cut_at_any_byte_does_not_count_and_is_said(store: Store, frames: Frames) -> None:
    sitting, path = reader_study.open_reader(store, STUDY, person(), frames), file_of(store)
    give(sitting, 2)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole) + 1):
        path.write_bytes(whole[:end])
        told, is_whole = reading(lines(whole[:end])), end >= len(whole) - 1
        assert len(told.standing) == 1 + is_whole
        problems = [] if is_whole or end == last else ["line 4 does not count: it cannot be read"]
        assert [problem.split(" (")[0] for problem in told.problems] == problems
    path.write_bytes(whole[: last + 40])
    assert "readers/r1-" in reader_study.damaged(store, STUDY)[0]
    again = reader_study.continue_reader(store, STUDY, sitting.id)
    give(again, 2)
    assert path.read_bytes().startswith(whole[: last + 40])
    assert len(reader_study.answers(store, STUDY)) == 3
    assert len(reader_study.damaged(store, STUDY)) == 1


def test_lines_that_cannot_be_true_do_not_count(store: Store, frames: Frames) -> None:
    sitting, path = reader_study.open_reader(store, STUDY, person(), frames), file_of(store)
    give(sitting, 2)
    wrong = [
        path.read_text().splitlines()[2],
        '{"kind":"undo","index":-1}',
        '{"kind":"later"}',
        "[1]",
        '{"kind":"answer"}',
    ]
    with path.open("a") as file:
        file.write("\n".join(wrong) + "\n")
    said = reader_study.damaged(store, STUDY)
    assert [line.split(" does")[0].split("line ")[1] for line in said] == ["5", "6", "7", "8", "9"]
    assert "whose turn it was not" in said[0]
    give(reader_study.continue_reader(store, STUDY, sitting.id))
    assert len(reader_study.answers(store, STUDY)) == 3


def test_a_header_that_was_cut_is_written_anew(store: Store, frames: Frames) -> None:
    reader_study.open_reader(store, STUDY, person(), frames)
    path = file_of(store)
    path.write_bytes(path.read_bytes()[:50])
    assert reader_study.summary(store, STUDY).empty
    with pytest.raises(StoreError, match="does not say who reads; begin under the same name again"):
        reader_study.continue_reader(store, STUDY, reader_study.reader_id("R1"))
    give(reader_study.open_reader(store, STUDY, person(), frames))
    assert len(reader_study.answers(store, STUDY)) == 1


def test_a_full_disk_keeps_no_half_answer(store: Store, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting, write = reader_study.open_reader(store, STUDY, person(), frames), os.write
    give(sitting)

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(content)[:50])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match=r"cannot be written \(.*No space left"):
            give(sitting)
    assert len(sitting.reading().standing) == 1
    give(sitting)
    assert len(reader_study.answers(store, STUDY)) == 2
    assert len(reader_study.damaged(store, STUDY)) == 1


def test_a_file_that_was_put_in_place_of_the_open_one_is_said(store: Store, frames: Frames) -> None:
    sitting, path = reader_study.open_reader(store, STUDY, person(), frames), file_of(store)
    give(sitting, 2)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match="was replaced or cut while it was open"):
        sitting.reading()
    path.unlink()
    with pytest.raises(StoreError, match="was replaced or cut while it was open"):
        give(sitting)
    assert not path.exists()


def test_several_readers_at_once_lose_nothing(store: Store, frames: Frames) -> None:
    def read(number: int) -> None:
        give(reader_study.open_reader(store, STUDY, person(f"R{number}"), frames), len(frames.frames))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, range(6)))
    told = reader_study.summary(store, STUDY)
    assert list(told["answered"]) == [28] * 6
    assert told["finished"].all()
    assert reader_study.damaged(store, STUDY) == []


def test_one_frame_is_answered_once_however_often_it_is_sent(store: Store, frames: Frames) -> None:
    sitting = reader_study.open_reader(store, STUDY, person(), frames)
    index = sitting.reading().current
    assert index is not None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sitting.answer(index, frames.classes[0], seconds=1.0), range(8)))
    assert len(sitting.reading().standing) == 1
    with pytest.raises(DataError, match="answered before, or in another tab"):
        sitting.answer(index, frames.classes[1], seconds=1.0)
    with pytest.raises(DataError, match="'platypus' is no class of 'views'"):
        sitting.answer(index, "platypus", seconds=1.0)
    with pytest.raises(DataError, match="seconds; expected 0 to"):
        sitting.answer(index, frames.classes[0], seconds=float("inf"))


def test_where_the_class_is_told_an_answer_stands(store: Store, animals: Dataset) -> None:
    sitting = reader_study.open_reader(store, STUDY, person(), made_frames(store, animals, feedback=True))
    give(sitting)
    with pytest.raises(DataError, match="so it stands"):
        sitting.undo(sitting.reading().standing[-1].frame.index)


# Tables


def test_answers_are_a_table_like_a_networks(store: Store, animals: Dataset, frames: Frames) -> None:
    sitting = reader_study.open_reader(store, STUDY, person("Dr. Müller"), frames)
    first, second = sitting.reading().order[:2]
    truth = animals.table["label"]
    wrong = next(name for name in frames.classes if name != truth.iloc[first])
    sitting.answer(first, wrong, seconds=3.0)
    sitting.undo(first)
    sitting.answer(first, truth.iloc[first], seconds=1.5)
    sitting.looked(tuple(index for index, _ in frames.labelled[:3]), large=False, seconds=2.0)
    sitting.looked((frames.labelled[0][0],), large=True, seconds=4.0)
    sitting.answer(second, wrong if wrong != truth.iloc[second] else truth.iloc[first], seconds=1.0)
    told = reader_study.answers(store, STUDY)
    assert list(told.columns) == reader_study.ANSWER_COLUMNS
    assert list(told["reader"]) == ["Dr. Müller"] * 2
    assert list(told["index"]) == [first, second]
    for column in ("image", "group", "scanner", "label"):
        assert list(told[column]) == [animals.table[column].iloc[index] for index in (first, second)]
    assert list(told["accuracy"]) == [1.0, 0.0]
    assert list(told["seconds"]) == [4.5, 1.0]
    assert list(told["looks"]) == [2, 1]
    assert list(told["opened"]) == [0, 1]
    assert list(told["labelled_seconds"]) == [0.0, 6.0]
    assert list(told["number"]) == [1, 2]
    assert set(told["fold"]) == {0}
    assert told["top2"].isna().all()
    assert told["probabilities"].isna().all()
    row = reader_study.summary(store, STUDY).iloc[0]
    assert (row["years"], row["examinations"], row["exposure"], row["note"]) == (12.0, 3000, "a few", "heart")
    assert (row["answered"], row["frames"], row["finished"], row["undone"], row["sittings"]) == (2, 28, False, 1, 1)
    assert (row["accuracy"], row["seconds"], row["opened"], row["labelled_seconds"]) == (0.5, 2.75, 1, 6.0)


def test_nobody_has_answered_is_an_empty_table_with_every_column(store: Store) -> None:
    assert list(reader_study.answers(store, STUDY).columns) == reader_study.ANSWER_COLUMNS
    assert reader_study.summary(store, STUDY).empty


def test_the_stamp_changes_with_every_answer(store: Store, frames: Frames) -> None:
    sitting = reader_study.open_reader(store, STUDY, person(), frames)
    stamps = [reader_study.stamp(store, STUDY)]
    for _ in range(3):
        give(sitting)
        stamps.append(reader_study.stamp(store, STUDY))
    assert len(set(stamps)) == 4


def test_only_labelled_frames_can_have_been_looked_at(store: Store, frames: Frames) -> None:
    sitting = reader_study.open_reader(store, STUDY, person(), frames)
    with pytest.raises(DataError, match="no labelled frames"):
        sitting.looked((frames.frames[0].index,), large=True, seconds=1.0)


@pytest.mark.parametrize(
    "broken", [lambda text: text[:-20], lambda text: "{}", lambda text: text.replace('"fold"', '"fo"')]
)
def test_damaged_frames_are_said_with_a_remedy(store: Store, frames: Frames, broken: Callable[[str], str]) -> None:
    reader_study.open_reader(store, STUDY, person(), frames)
    path = Path(store.files.path(f"{STUDY}/readers/frames.json"))
    path.write_text(broken(path.read_text()))
    with pytest.raises(StoreError, match=r"frames\.json is damaged .*put back a copy"):
        reader_study.continue_reader(store, STUDY, reader_study.reader_id("R1"))


def test_a_name_that_leads_out_of_the_store_is_refused(store: Store, frames: Frames) -> None:
    for study in ("../views", "..", ""):
        with pytest.raises(WhichLayersError):
            reader_study.open_reader(store, study, person(), frames)
    with pytest.raises(StoreError, match=r"no reader '\.\./x' of study"):
        reader_study.continue_reader(store, STUDY, "../x")


def test_a_study_of_five_thousand_frames_is_read(frames: Frames, tmp_path: Path) -> None:
    store = made_empty(tmp_path)
    sitting, path = reader_study.open_reader(store, STUDY, person(), frames), file_of(store)
    give(sitting)
    line = json.loads(path.read_text().splitlines()[-1])
    header = json.loads(path.read_text().splitlines()[0])
    header["order"] = list(range(5000))
    path.write_text("\n".join(json.dumps(one) for one in [header, *({**line, "index": n} for n in range(5000))]) + "\n")
    told = reader_study.answers(store, STUDY)
    assert len(told) == 5000
    assert np.isclose(told["seconds"].sum(), 10_000)
