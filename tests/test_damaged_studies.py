"""Studies that are damaged, unfinished, mixed or old: the rest is shown, and the page says what is the matter."""

import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw
from streamlit.testing.v1 import AppTest

from engine.datasets.cached import open_dataset
from engine.errors import StoreError
from engine.store import Entry, Rows, Store
from engine.study_settings import DataSettings
from tests.made import attempt, trial
from tests.made_store import made_attempt, made_facts, made_progress, made_store, made_trials

APP = Path(__file__).parents[1] / "dashboard" / "app.py"
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: b"PAR1" + bytes(range(256)) * 8 + b"PAR1",
    "a damaged page": lambda content: content[:300] + b"damaged!" + content[308:],
}
PAIR: dict[str, Any] = {"strategies": ("whole network", "contracting"), "fractions": (80,)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A study of three attempts, a file each."""
    store = Store.at(tmp_path)
    store.begin("s", "name: s")
    store.write_plan("s", [trial(fold=fold) for fold in range(3)], {"question": "?", "start_weights": []})
    for fold in range(3):
        store.append("s", attempt(trial(fold=fold), dice=0.5))
    return store


def damage(store: Store, name: str, kind: str = "cut", study: str = "s") -> Path:
    """The file, damaged."""
    path = Path(store.files.root) / study / name
    path.write_bytes(KINDS[kind](path.read_bytes()))
    return path


def listing(store: Store) -> list[tuple[str, int]]:
    """Every file under the root, with its size."""
    return sorted((str(path), path.stat().st_size) for path in Path(store.files.root).rglob("*"))


def loose(fold: int) -> str:
    return f"attempts/{trial(fold=fold).id}.1.parquet"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_and_the_rest_is_read_without_writing(store: Store, kind: str) -> None:
    damage(store, loose(1), kind)
    before, known = listing(store), dict[Entry, Rows]()
    assert sorted(store.attempts("s", known=known)["fold"]) == [0, 2]
    assert [entry.name for entry, rows in known.items() if rows.damage] == [loose(1)]
    others = {trial(fold=fold).id for fold in (0, 2)}
    assert others <= set(store.epochs("s")["id"])
    assert others <= set(store.test_images("s", masks=True)["id"])
    assert store.next_number("s", trial(fold=1).id) in (1, 2)
    assert listing(store) == before


def test_a_file_that_is_none_of_ours_is_named(store: Store) -> None:
    path = Path(store.files.root) / "s" / "attempts" / "notes.parquet"
    pq.write_table(pa.table({"name": ["x"]}), path)
    assert store.damaged("s") == ["attempts/notes.parquet (it has no column 'id')"]
    known: dict[Entry, Rows] = {}
    assert len(store.attempts("s", known=known)) == 3
    assert [rows.damage for rows in known.values() if rows.damage] == ["it has no column 'id'"]


def test_the_next_run_puts_damaged_files_aside_and_only_their_trials_are_missing(store: Store) -> None:
    damage(store, loose(1))
    damaged = (Path(store.files.root) / "s" / loose(1)).read_bytes()
    said = store.put_aside("s")
    assert len(said) == 1
    assert loose(1) in said[0]
    assert "its trials run again" in said[0]
    name = loose(1).removeprefix("attempts/")
    assert (Path(store.files.root) / "s" / "damaged" / name).read_bytes() == damaged
    assert store.put_aside("s") == []
    store.append("s", attempt(trial(fold=1)))  # as the run does
    assert sorted(store.attempts("s")["fold"]) == [0, 1, 2]
    damage(store, loose(1), "empty")
    store.put_aside("s")
    assert sorted(name for name, _ in store.files.names("s/damaged")) == sorted([name, f"2 {name}"])


def test_of_a_damaged_segment_the_sound_part_is_read_and_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.rows.GROUP", 1)
    store.compact("s", least=1)
    name = f"segments/{store.files.names('s/segments')[0][0]}"
    damage(store, name, "a damaged page")
    rows = store.attempts("s")
    assert sorted(rows["fold"]) == [1, 2]  # sorted by fold, the first is damaged
    said = store.put_aside("s")
    assert "a part of it cannot be read" in said[0]
    assert store.attempts("s").equals(rows)
    assert len(store.test_images("s", masks=True)) == 2 * 4
    assert store.put_aside("s") == []


def test_a_damaged_file_does_not_stop_a_compaction(store: Store) -> None:
    damage(store, loose(1))
    assert store.compact("s", least=1) == 2
    assert sorted(store.attempts("s")["fold"]) == [0, 2]
    assert [name for name, _ in store.files.names("s/attempts")] == [loose(1).removeprefix("attempts/")]


@pytest.mark.parametrize("kind", ["cut", "empty", "garbage"])
def test_what_a_run_writes_first_is_said_in_one_line_where_it_is_damaged(store: Store, kind: str) -> None:
    store.write_progress("s", {"state": "running"})
    for name in ("plan.parquet", "facts.json", "progress.json"):
        damage(store, name, kind)
    for read in (store.plan, store.facts):
        with pytest.raises(StoreError, match=r"^[^\n]* is damaged \([^\n]*\); run the study again: it is written anew"):
            read("s")
    told = store.progress("s")
    assert (told["state"], told["alive"]) == ("unknown", False)
    assert "progress.json is damaged" in told["error"]
    assert len(store.put_aside("s")) == 3
    assert (store.plan("s").empty, store.facts("s"), store.progress("s")) == (True, {}, {"alive": False})
    assert len(store.attempts("s")) == 3


def test_a_study_file_that_is_no_text_is_said_in_one_line(store: Store) -> None:
    (Path(store.files.root) / "s" / "study.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(StoreError, match=r"^[^\n]*study.yaml is damaged \([^\n]*$"):
        store.study_text("s")


def test_a_disk_that_refuses_is_not_taken_for_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(StoreError, match=r"s: results cannot be read \(.*Permission denied\)"):
        store.attempts("s")
    with pytest.raises(PermissionError):
        store.put_aside("s")
    assert not (Path(store.files.root) / "s" / "damaged").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw.data())
def test_whatever_happens_to_a_file_is_read_or_named(store: Store, data: draw.DataObject) -> None:
    path = Path(store.files.root) / "s" / loose(1)
    sound, whole = path.read_bytes(), store.test_images("s", masks=True)
    place = data.draw(draw.integers(0, len(sound) - 1))
    over = data.draw(draw.binary(min_size=1, max_size=64))
    cut = data.draw(draw.booleans())
    # The footer's own names have no checksum: a letter that changes there makes a column of another name.
    footer = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    place = place if cut else min(place, footer - len(over))
    path.write_bytes(sound[:place] if cut else sound[:place] + over + sound[place + len(over) :])
    try:
        known: dict[Entry, Rows] = {}
        found = store.test_images("s", masks=True, known=known)
        assert len(found) in (8, 12)
        assert found.equals(whole) or any(rows.damage for rows in known.values())
    finally:
        path.write_bytes(sound)


# Pages


def opened(folder: Path, study: str, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    """The Results page of a study; it must end without an exception."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    page = AppTest.from_file(str(APP), default_timeout=120)
    for key, value in {"study": study, **query}.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, page.exception
    return page


def said(page: AppTest) -> str:
    """Everything that the page says in words."""
    return "\n".join(str(one.value) for one in (*page.error, *page.warning, *page.info, *page.markdown, *page.caption))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies on the same made images, each with one thing the matter."""
    folder = tmp_path_factory.mktemp("studies")
    place = folder / "results", folder / "cache"
    made_store(
        *place, study="half", finished=lambda place, trial: place < 5, state="stopped", **PAIR, folds=(0, 1, 2, 3)
    )
    crash = {"state": "error", "error": "Traceback\nRuntimeError: out of memory", "dice": None}
    made_store(*place, study="crashed", changes=lambda place, trial: crash, **PAIR)
    made_store(*place, study="failed", changes=lambda place, trial: {"state": "not_converged"}, **PAIR)
    made_store(*place, study="one_fold", folds=(0,), **PAIR)
    made_store(*place, study="two_folds", **PAIR)
    made_store(*place, study="three_folds", folds=(0, 1, 2), **PAIR)
    store = made_store(*place, study="damaged", **PAIR)
    name = store.files.names("damaged/attempts")[0][0]
    damage(store, f"attempts/{name}", study="damaged")
    _mixed(folder)
    _older(folder)
    return folder


def _mixed(folder: Path) -> None:
    store = Store.at(folder / "results")
    dataset = open_dataset(DataSettings(kind="simulated", images=40), 64, folder / "cache")
    planned = [one for width in (16, 8) for one in made_trials(dataset.fingerprint, width=width, **PAIR)]
    store.begin("mixed", "name: mixed\n")
    store.write_plan("mixed", planned, made_facts(dataset))
    for one in planned:
        store.append("mixed", made_attempt(one, dataset))
    store.write_progress("mixed", made_progress("finished", len(planned), len(planned)))


def _older(folder: Path) -> None:
    """A study as the first version stored it: other ids, fewer columns, one section of start weights."""
    made_store(folder / "results", folder / "cache", study="older", **PAIR)
    newer = "start draws method rank unfreeze_every classes encoder unit_modules code hd95 hd95_unit hd95_undefined"
    gone = [*newer.split(), "kept_dice", "calibration", "normal_images", "false_positive_rate"]
    root = folder / "results" / "older"
    for path in (root / "plan.parquet", *(root / "attempts").iterdir()):
        table = pq.read_table(path)
        table = table.drop([name for name in gone if name in table.schema.names])
        ids = [hashlib.sha256(one.encode()).hexdigest() for one in table["id"].to_pylist()]
        table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
        if path.parent.name == "attempts":
            path.unlink()
            path = path.with_name(f"{ids[0]}.1.parquet")
        pq.write_table(table, path)
    facts = json.loads((root / "facts.json").read_text())
    facts["start_weights"] = {key: value for key, value in facts["start_weights"][0].items() if key != "name"}
    del facts["reference"], facts["margin"]
    (root / "facts.json").write_text(json.dumps(facts))


SAID: dict[str, tuple[str, ...]] = {
    "half": ("**stopped**", "whichlayers run", "3 of 8 trials have no result", "0 of 2 cells complete"),
    "crashed": ("**All trials crashed** (the first: `RuntimeError: out of memory`)", "0 of 2 cells complete"),
    "failed": ("**No training converged**", "With **80 %** of the images: no training converged."),
    "one_fold": ("One fold: no test and no interval.", "1 fold: no test and no interval; how much"),
    "two_folds": ("Two folds: no test and no interval.", "2 folds: no test and no interval; how much"),
    "three_folds": ("Three folds: intervals of the means stand on hover.", "**Recommendation:**"),
    "damaged": (
        "**`attempts/",
        "is damaged**",
        "its trials, which are missing here, are trained again",
        "1 of 4 trials",
    ),
    "mixed": ("**This study mixes networks** (unet, width 16; unet, width 8)", "unet, width 8): highest"),
    "older": ("**These results are of an earlier version of WhichLayers.**", "Two folds: no test"),
}


@pytest.mark.parametrize("study", SAID)
def test_the_page_says_what_is_the_matter(folder: Path, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(opened(folder, study, monkeypatch))
    assert [line for line in SAID[study] if line not in text] == []


PAGES = ("comparisons", "cost", "curves", "masks", "quality", "features", "layer-by-layer", "running", "published")


@pytest.mark.parametrize("study", SAID)
def test_every_other_page_opens_on_it(folder: Path, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in PAGES:
        page = opened(folder, study, monkeypatch, open=address)
        assert not page.error, (address, [one.value for one in page.error])
        assert page.title, address
        if study == "damaged" and address != "running":
            assert "is damaged**" in said(page), address


def test_a_sound_study_has_nothing_the_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(folder, "three_folds", monkeypatch)
    assert [*page.warning, *page.error] == []


def test_a_study_of_two_networks_shows_each_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(folder, "mixed", monkeypatch, network="unet, width 8")
    assert page.selectbox(key="network").value == "unet, width 8"
    assert page.selectbox(key="network").options == ["unet, width 16", "unet, width 8"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plan.parquet", "plan.parquet is damaged ("),
        ("facts.json", "facts.json is damaged ("),
        ("progress.json", "progress.json is damaged ("),
    ],
)
def test_a_page_says_in_one_line_which_file_is_damaged(
    tmp_path: Path, name: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = made_store(tmp_path / "results", tmp_path / "cache", images=20, **PAIR)
    damage(store, name, study="made")
    text = said(opened(tmp_path, "made", monkeypatch))
    assert line in text
    assert "run the study again" in text


def test_another_study_stands_below_named_and_a_damaged_one_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(folder, "three_folds", monkeypatch)
    page.multiselect(key="with").set_value(["two_folds", "older"]).run()
    assert not page.exception
    assert page.query_params["with"] == ["two_folds", "older"]
    assert "With **80 %** of the images: highest" in said(page)


def test_a_trial_of_another_revision_is_told_from_one_of_this(folder: Path) -> None:
    from dashboard.figures.matters import is_older

    store = Store.at(folder / "results")
    assert is_older(store.plan("older"))
    assert not is_older(store.plan("mixed"))
    assert dataclasses.replace(trial(), start="named").id == trial().id
