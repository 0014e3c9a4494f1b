"""What the launch page stands on: the file that a form changes, uploaded zips, and runs as processes of their own."""

import io
import os
import stat
import sys
import threading
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml.comments import CommentedMap

from dashboard import places
from dashboard.figures import trial_states
from dashboard.launch import runs, uploads
from dashboard.launch.study_text import SMALL, Entry, Key, entries, read, shown, typed, value_at, with_value
from dashboard.views import launching
from engine.config import loads
from engine.errors import DataError, StudyFileError
from engine.study_settings import StartSettings, Study
from tests.made_zips import claiming, damaged_zips

ENTRIES = {entry.key: entry for section in entries().values() for entry in section}


def entry(key: str) -> Entry:
    return ENTRIES[tuple(key.split("."))]


def test_what_the_form_begins_with_is_a_study() -> None:
    study = loads(SMALL)
    assert study.strategies == ("whole network", "contracting", "expanding", "from scratch")
    assert study.data.kind == "simulated"


def test_every_key_of_a_study_file_is_in_the_form() -> None:
    assert {key[0] for key in ENTRIES} == set(Study.__dataclass_fields__)
    assert {key[1] for key in ENTRIES if key[0] == "start_weights"} == set(StartSettings.__dataclass_fields__)
    assert all(found.field.doc for found in ENTRIES.values())


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("fractions", "80, 5", [80, 5]),
        ("learning_rates", "[1e-4, 1e-3]", [1e-4, 1e-3]),
        ("strategies", 'contracting, "blocks 1,2"', ["contracting", "blocks 1,2"]),
        ("training.patience", "12", 12),
        ("training.iterations", "off", "off"),
        ("data.where", "{label: [benign]}", {"label": ["benign"]}),
        ("question", "Which: layers?", "Which: layers?"),
        ("data.name", "  12 ", "12"),
        ("margin", "", None),
        ("seeds", "1, [", "[1, []"),
    ],
)
def test_what_is_typed_becomes_a_value(key: str, text: str, value: object) -> None:
    assert typed(entry(key), text) == value


def test_a_change_keeps_comments_and_everything_else() -> None:
    changed = with_value(SMALL, ("training", "patience"), 5)
    assert "width: 16 # 64 in the paper" in changed
    assert loads(changed).training.patience == 5
    assert [line for line in changed.splitlines() if "patience" not in line] == [
        line for line in SMALL.splitlines() if "patience" not in line
    ]
    assert with_value(changed, ("training", "patience"), None).count("patience") == 0
    assert value_at(read(with_value("", ("model", "width"), 8)), ("model", "width")) == 8
    assert with_value("name: x\n", ("model", "width"), None) == "name: x\n"


@pytest.mark.parametrize(
    "key", ["fractions", "strategies", "folds.run", "data.where", "training.patience", "data.square"]
)
def test_a_value_is_shown_as_it_would_be_typed(key: str) -> None:
    values: dict[str, object] = {
        "fractions": [80.0, 5.0], "strategies": ["blocks 1,2", "block 9"], "folds.run": [0, 2],
        "data.where": {"label": ["benign"]}, "training.patience": 7, "data.square": True,
    }  # fmt: skip
    name: Key = tuple(key.split("."))
    tree = read(with_value("name: x\n", name, values[key]))
    if key == "data.square":
        assert shown(entry(key), tree) == "yes"
    else:
        assert typed(entry(key), shown(entry(key), tree)) == values[key]
    assert shown(entry(key), CommentedMap()) == ""


def test_of_several_start_weights_the_form_shows_the_first() -> None:
    text = "start_weights:\n- {kind: folder, folder: a}\n- {kind: file, file: b}\n"
    assert shown(entry("start_weights.folder"), read(text)) == "a"
    changed = read(with_value(text, ("start_weights", "folder"), "c"))
    assert [dict(one) for one in changed["start_weights"]] == [
        {"kind": "folder", "folder": "c"}, {"kind": "file", "file": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["- a\n", "a: [1\n", "just words"])
def test_what_is_no_study_file_is_one_line(text: str) -> None:
    with pytest.raises(StudyFileError, match=r"^study file") as caught:
        read(text)
    assert len(caught.value.problems) == 1


def zipped(members: dict[str, bytes], *, link: str = "") -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return made


def damaged() -> io.BytesIO:
    """A zip whose compressed bytes are none."""
    content = bytearray(zipped({"a.png": bytes(range(256)) * 40}).getvalue())
    content[35:60] = b"\xff" * 25  # behind the header of 30 bytes and the name
    return io.BytesIO(content)


def test_nothing_is_unpacked_onto_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.kept_uploads.LEAST_FREE_BYTES", 2**62)
    with pytest.raises(DataError, match=r"^set.zip: the server's disk is nearly full[^\n]*$"):
        uploads.unpacked(zipped({"a.png": b"1"}), "set.zip", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_uploaded_zip_is_unpacked_once_and_a_single_folder_is_the_data(tmp_path: Path) -> None:
    file = zipped({"set/images/a.png": b"1", "set/manifest.csv": b"2", "__MACOSX/set/._a": b"3"})
    folder = uploads.unpacked(file, "set.zip", tmp_path)
    assert folder.name == "set"
    assert (folder / "images" / "a.png").read_bytes() == b"1"
    (folder / "manifest.csv").write_bytes(b"kept")
    assert (uploads.unpacked(file, "set.zip", tmp_path) / "manifest.csv").read_bytes() == b"kept"
    plain = uploads.unpacked(zipped({"images/a.png": b"1", "masks/a.png": b"2"}), "plain.zip", tmp_path)
    assert sorted(path.name for path in plain.iterdir()) == ["images", "masks"]


def test_what_is_neither_image_nor_table_stays_in_the_zip(tmp_path: Path) -> None:
    frame = io.BytesIO()
    Image.new("L", (8, 8)).save(frame, "PNG")
    kept = {
        "frame": frame.getvalue(), "IM_0001": bytes(128) + b"DICM", "cut.png": b"\x00\x01", "a.raw": bytes(9),
        "manifest.csv": "image,label\na.png,Müller\n".encode("utf-16"), "README": "Größe".encode("latin-1"),
    }  # fmt: skip
    left = {"setup.exe": b"MZ\x90\x00\x03", ".DS_Store": b"\x00\x00\x00\x01Bud1", "model.pt": b"PK\x03\x04\x00"}
    left["folder/bomb"] = bytes(20_000_000)
    folder = uploads.unpacked(zipped(kept | left), "set.zip", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.rglob("*")} == kept


def test_pixels_beside_a_header_are_unpacked_under_any_name(tmp_path: Path) -> None:
    files = {"a/x.mhd": b"ElementDataFile = x.bin", "a/x.bin": bytes(9), "b/x.bin": bytes(9)}
    folder = uploads.unpacked(zipped(files), "set.zip", tmp_path)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["x.bin", "x.mhd"]
    assert (folder / "a" / "x.bin").read_bytes() == bytes(9)


def test_what_stays_in_the_zip_still_stands_beside_a_folder(tmp_path: Path) -> None:
    sheet = {"manifest.xlsx": b"PK\x03\x04\x14\x00", "images/p1/a.png": b"1", "images/p2/a.png": b"2"}
    assert [path.name for path in uploads.unpacked(zipped(sheet), "set.zip", tmp_path).iterdir()] == ["images"]
    hidden = {".DS_Store": b"\x00\x01", "set/a.png": b"1"}
    for _ in range(2):  # also where it is there already
        assert uploads.unpacked(zipped(hidden), "set.zip", tmp_path).name == "set"


def test_a_damaged_zip_of_every_kind_is_refused_in_one_line(tmp_path: Path) -> None:
    files = {f"set/{number}.png": bytes(range(256)) * 8 for number in range(4)} | {
        "set/manifest.csv": b"image\n0.png\n"
    }
    refused: list[str] = []
    for content in damaged_zips(files, 80):
        try:
            uploads.unpacked(io.BytesIO(content), "set.zip", tmp_path)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 40
    assert not any("\n" in line for line in refused)
    assert not list((tmp_path / uploads.FOLDER).glob("*.part"))


def test_the_same_zip_may_come_twice_at_once(tmp_path: Path) -> None:
    files = {f"set/{number}.png": os.urandom(100_000) for number in range(40)}
    content, found = zipped(files).getvalue(), list[Path]()
    begin = threading.Barrier(4)

    def upload() -> None:
        begin.wait()
        found.append(uploads.unpacked(io.BytesIO(content), "set.zip", tmp_path))

    every = [threading.Thread(target=upload) for _ in range(4)]
    for each in every:
        each.start()
    for each in every:
        each.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(list(found[0].iterdir())) == 40
    assert not list((tmp_path / uploads.FOLDER).glob("*.part"))


def test_the_images_used_longest_ago_make_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT_BYTES", 2500)
    launched = uploads.unpacked(zipped({"set/a.png": bytes([1]) * 1000}), "set.zip", tmp_path)
    uploads.keep(str(launched), tmp_path)
    older, old = (
        uploads.unpacked(zipped({"set/a.png": bytes([number]) * 1000}), "set.zip", tmp_path) for number in (2, 3)
    )
    for age, folder in enumerate((old, older, launched)):
        os.utime(folder.parent, (1000 - age, 1000 - age))
    newest = uploads.unpacked(zipped({"set/a.png": bytes([4]) * 1000}), "set.zip", tmp_path)
    assert [folder.is_dir() for folder in (launched, older, old, newest)] == [True, False, True, True]
    largest = uploads.unpacked(zipped({"set/a.png": bytes([5]) * 3000}), "set.zip", tmp_path)
    assert [folder.is_dir() for folder in (launched, old, newest, largest)] == [True, False, False, True]


def test_images_that_no_study_was_launched_with_are_swept_away(tmp_path: Path) -> None:
    used = uploads.unpacked(zipped({"set/a.png": b"1"}), "used.zip", tmp_path)
    unused = uploads.unpacked(zipped({"set/a.png": b"2"}), "unused.zip", tmp_path)
    fresh = uploads.unpacked(zipped({"set/a.png": b"3"}), "fresh.zip", tmp_path)
    cut = tmp_path / uploads.FOLDER / "0123.part"
    cut.mkdir()
    uploads.keep(str(used), tmp_path)
    uploads.keep(str(tmp_path), tmp_path)  # a folder of the user's own
    uploads.keep(None, tmp_path)
    for folder in (used.parent, unused.parent, cut):
        os.utime(folder, (0, 0))
    uploads.sweep(tmp_path)
    assert (used / "a.png").read_bytes() == b"1"
    assert (fresh / "a.png").read_bytes() == b"3"
    marks = {used.parent.name, used.parent.name + uploads.LAUNCHED, fresh.parent.name}
    assert {path.name for path in (tmp_path / uploads.FOLDER).iterdir()} == marks
    os.utime(fresh.parent, (0, 0))
    uploads.unpacked(zipped({"set/a.png": b"3"}), "again.zip", tmp_path)
    uploads.sweep(tmp_path)
    assert fresh.is_dir()
    uploads.sweep(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (zipped({"../evil.png": b"1"}), "leads outside"),
        (zipped({"/evil.png": b"1"}), "leads outside"),
        (zipped({"a\\..\\..\\evil.png": b"1"}), "leads outside"),
        (zipped({"C:/evil.png": b"1"}), "leads outside"),
        (zipped({"a.png": b"1"}, link="b.png"), "leads outside"),
        (zipped({}), "an empty zip"),
        (zipped({".": b"1"}), "cannot be read"),
        (zipped({"zeros.raw": bytes(20_000_000)}), "grows beyond"),
        (
            io.BytesIO(claiming(zipped({"zeros.raw": bytes(20_000_000)}).getvalue(), 10_000_000)),
            "grows beyond|cannot be read",
        ),
        (zipped({"setup.exe": b"MZ\x90\x00\x03"}), "holds no image and no table"),
        (io.BytesIO(b"no zip at all"), "cannot be read"),
        (damaged(), "cannot be read"),
        (zipped({"a": b"1", "a/b": b"2"}), "cannot be written"),
        (zipped({"a/b": b"1", "a": b"2"}), "cannot be written"),
        (zipped({"a" * 300: b"1"}), "cannot be written"),
    ],
)
def test_what_is_no_honest_zip_is_refused_and_leaves_nothing(tmp_path: Path, file: io.BytesIO, problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        uploads.unpacked(file, "upload.zip", tmp_path / "cache")
    assert len(caught.value.problems) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_page_never_loads_a_network_of_the_users_own() -> None:
    with pytest.raises(StudyFileError, match="a page never loads"):
        runs.checked("name: x\ndata: {kind: simulated}\nmodel: {name: 'os:system'}\nstrategies: [a]\nreference: a\n")


def test_a_run_that_cannot_begin_says_why(tmp_path: Path) -> None:
    folder = uploads.unpacked(zipped({"nowhere/words.txt": b"1"}), "upload.zip", tmp_path)
    launched = runs.launch(f"name: x\ndata: {{folder: {folder}}}\n", str(tmp_path / "results"), tmp_path, before={})
    assert (folder.parent.parent / (folder.parent.name + uploads.LAUNCHED)).is_file()
    assert launched.is_known
    assert launched.process.wait(90) != 0
    assert "nowhere" in "\n".join(launched.problems())
    assert "Traceback" not in launched.said
    assert runs.latest_log("x", tmp_path) == launched.log
    assert runs.latest_log("y", tmp_path) is None


def test_what_another_run_of_the_study_says_is_not_the_word_of_the_one_just_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"state": "running", "alive": True, "process": 7}
    monkeypatch.setattr("dashboard.data.studies", lambda: ["x"])
    monkeypatch.setattr("dashboard.data.progress", lambda study: theirs)
    launched = runs.launch("name: x\ndata: {folder: nowhere}\n", str(tmp_path / "results"), tmp_path, before=theirs)
    assert launched.beside == 7
    assert not launching._is_settled(launched)
    theirs = {**theirs, "process": launched.process.pid, "state": "preparing"}
    assert not launching._is_settled(launched)
    theirs = {**theirs, "state": "running"}
    assert launching._is_settled(launched)
    theirs = {**theirs, "process": 7}
    launched.process.wait(90)
    assert launching._is_settled(launched)
    assert launched.problems()


def test_a_command_names_the_places_of_this_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", "s3://bucket/my results")
    monkeypatch.delenv("WHICHLAYERS_CACHE", raising=False)
    assert places.command("run", "a b") == "whichlayers run 'a b' --store 's3://bucket/my results'"
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "c"))
    assert places.command("stop", "x") == f"whichlayers stop x --store {tmp_path}"
    assert places.command("run", "x") == f"whichlayers run x --store {tmp_path} --cache {tmp_path / 'c'}"


def test_a_command_is_shown_as_somebody_types_it() -> None:
    command = runs.command("my study.yaml", "results", "cache", "--dry-run")
    assert command[0] == sys.executable
    assert runs.shown_command(command) == "whichlayers run 'my study.yaml' --store results --cache cache --dry-run"


def test_the_bar_has_each_state_once_in_a_fixed_order() -> None:
    states = pd.DataFrame({"state": ["waiting", "completed", "error", "completed", "running"]})
    table = trial_states.counts(states)
    assert list(table["state"]) == ["completed", "running", "waiting", "error"]
    assert list(table["trials"]) == [2, 1, 1, 1]
    assert table["part"].sum() == pytest.approx(1)
    drawn = trial_states.trial_states(table)
    assert [bar.name for bar in drawn.data] == ["completed (2)", "running (1)", "waiting (1)", "crashed (1)"]
    assert "No trial" in trial_states.trial_states(table.iloc[:0]).layout.annotations[0].text
