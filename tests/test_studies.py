"""Studies as things to keep: listed, renamed, archived, deleted, and carried as one file that may be hostile."""

import io
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.store import Lease, Store
from engine.studies import archive, contents, delete, pack, rename, study_rows, unarchive, unpack
from engine.studies.changes import named
from engine.study_settings import DataSettings
from tests.made import attempt, trial
from tests.made_commands import begun, here
from tests.made_store import made_store
from tests.made_zips import claiming, damaged_zips

TRIALS = [trial("contracting", fold=fold) for fold in (0, 1)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two studies, of which `s` holds a trained trial."""
    kept = begun(tmp_path / "results", TRIALS)
    kept.append("s", attempt(TRIALS[0]), weights=b"tensors")
    kept.write_progress("s", {"state": "running", "trials": 2, "closed": 1, "failed": 0})
    begun(tmp_path / "results", TRIALS, "t")
    return kept


def packed(path: Path, members: dict[str, bytes], *, about: dict[str, object] | None = None) -> Path:
    """A packed file as somebody might make it."""
    told = about if about is not None else {"format": 1, "study": "s", "result_revision": 3, "whichlayers": "9"}
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("whichlayers.json", json.dumps(told))
        for name, content in members.items():
            made.writestr(name, content)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_studies_are_listed_with_state_size_and_change(store: Store) -> None:
    with Lease(store.files, "t"):
        first, second = study_rows(store)
        assert (first.name, first.is_running, first.state) == ("t", True, "begun")
    assert (second.name, second.state, second.closed, second.trials) == ("s", "interrupted", 1, 2)
    assert second.question == "Which?"
    on_disk = sum(path.stat().st_size for path in Path(store.files.path("s")).rglob("*") if path.is_file())
    assert second.size_bytes == on_disk
    assert second.changed.startswith("20")


def test_an_archived_study_is_kept_and_not_listed(store: Store) -> None:
    archive(store, "s")
    assert store.studies() == ["t"]
    assert store.studies(archived=True) == ["s"]
    (row,) = study_rows(store, archived=True)
    assert row.archived.startswith("20")
    assert len(store.attempts("s")) == 1
    unarchive(store, "s")
    assert store.studies() == ["s", "t"]


def test_a_renamed_study_keeps_its_results_and_knows_its_name(store: Store) -> None:
    before = files_in(Path(store.files.path("s")))
    rename(store, "s", "on")
    assert store.studies() == ["on", "t"]
    assert files_in(Path(store.files.path("on"))) == {**before, "study.yaml": b'name: "on"'}
    for name, words in (("t", "there is a study 't'"), ("../x", "cannot be a study's name")):
        with pytest.raises(StoreError, match=words):
            rename(store, "on", name)
    assert named("model: {}\n", "x") == 'name: "x"\nmodel: {}\n'
    assert named("name: a\nstart_weights:\n  name: a\n", "x") == 'name: "x"\nstart_weights:\n  name: a\n'


def test_a_study_that_runs_is_left_alone(store: Store, tmp_path: Path) -> None:
    with Lease(store.files, "s"):
        for change in (
            lambda: rename(store, "s", "x"),
            lambda: archive(store, "s"),
            lambda: delete(store, "s"),
            lambda: pack(store, "s", tmp_path / "s.zip"),
        ):
            with pytest.raises(StoreError, match=r"^study 's' is running; whichlayers stop s ends it, then try again$"):
                change()
    assert store.studies() == ["s", "t"]


def test_deleting_names_what_goes_and_asks(store: Store, tmp_path: Path) -> None:
    found = contents(store, "s")
    assert {what: files for what, (files, _) in found.items()} == {"results": 1, "weights": 1, "settings and plan": 4}
    place = ("--store", store.files.root)
    said = here("delete", "s", *place, folder=tmp_path)
    assert "weights: 1 file, 0.0 MB" in said.stdout
    assert store.has_study("s")
    said = here("delete", "s", "--yes", *place, folder=tmp_path)
    assert "s is deleted" in said.stdout
    assert store.studies() == ["t"]
    assert not [path for path in Path(store.files.root).iterdir() if path.name.startswith(".deleted")]


def test_an_open_file_is_unpacked_and_named_as_its_owner_names_it(store: Store, tmp_path: Path) -> None:
    pack(store, "s", tmp_path / "s.zip")
    other = Store.at(tmp_path / "elsewhere")
    assert unpack(other, io.BytesIO((tmp_path / "s.zip").read_bytes()), shown="mine.zip").study == "s"
    with pytest.raises(StoreError, match=r"^mine\.zip: not a study that was exported"):
        unpack(other, io.BytesIO(b"nothing"), shown="mine.zip")


def test_a_study_travels_as_one_file(store: Store, tmp_path: Path) -> None:
    store.files.write("s/requests/1.json", b"{}")
    size = pack(store, "s", tmp_path / "out" / "s.zip")
    assert size == (tmp_path / "out" / "s.zip").stat().st_size
    with pytest.raises(StoreError, match="is there already"):
        pack(store, "s", tmp_path / "out" / "s.zip")
    other = Store.at(tmp_path / "elsewhere")
    found = unpack(other, tmp_path / "out" / "s.zip")
    assert (found.study, found.notes) == ("s", ())
    mine, theirs = (files_in(Path(kept.files.path("s"))) for kept in (store, other))
    del mine["requests/1.json"]
    assert {**mine, "study.yaml": b'name: "s"'} == theirs
    with pytest.raises(StoreError, match="there is a study 's'"):
        unpack(other, tmp_path / "out" / "s.zip")
    assert unpack(other, tmp_path / "out" / "s.zip", name="again").study == "again"
    assert other.studies() == ["again", "s"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["s.zip"]


def test_images_travel_only_where_that_is_asked_and_only_whole(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = made_store(
        tmp_path / "results", cache, images=10, image_size=32, data=DataSettings(kind="simulated", images=10)
    )
    fingerprint = store.facts("made")["data"]["fingerprint"]
    pack(store, "made", tmp_path / "without.zip")
    pack(store, "made", tmp_path / "with.zip", cache=cache)
    with zipfile.ZipFile(tmp_path / "without.zip") as made:
        assert not [name for name in made.namelist() if name.startswith("data/")]
    other = Store.at(tmp_path / "other")
    assert unpack(other, tmp_path / "with.zip").notes == ("Its images were left out: no cache was named.",)
    assert unpack(other, tmp_path / "with.zip", name="two", cache=tmp_path / "new").notes == ()
    assert (tmp_path / "new" / "data" / fingerprint / "images.npy").is_file()
    with zipfile.ZipFile(tmp_path / "with.zip") as made, zipfile.ZipFile(tmp_path / "changed.zip", "w") as changed:
        for name in made.namelist():
            content = made.read(name)
            changed.writestr(name, content[:-1] + b"\7" if name.endswith("images.npy") else content)
    said = unpack(other, tmp_path / "changed.zip", name="three", cache=tmp_path / "third").notes
    assert said == ("Its images are damaged and were left out.",)
    assert not (tmp_path / "third").exists()
    with pytest.raises(StoreError, match="the images of 'made' are not in the cache"):
        pack(store, "made", tmp_path / "x.zip", cache=tmp_path / "third")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.parquet",
        "/etc/outside",
        "study/../../outside.json",
        "study/attempts/../../../outside.parquet",
        "study\\..\\outside.json",
        "study/attempts/x.pkl",
        "study/weights/x.pt",
        "study/attempts/.hidden.parquet",
        "study/plan.parquet/x",
        "other/study.yaml",
        "data/abc/images.npy",
        "study/requests/1.json",
    ],
)
def test_a_file_that_is_no_part_of_a_study_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    file = packed(tmp_path / "x.zip", {"study/study.yaml": b"name: s", name: b"x"})
    before = files_in(tmp_path)
    with pytest.raises(StoreError, match=r"which is no file of a study; it was not imported$"):
        unpack(Store.at(tmp_path / "results"), file)
    assert files_in(tmp_path) == before


def test_what_is_too_large_twice_linked_or_from_a_later_version_is_refused(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    yaml = {"study/study.yaml": b"name: s"}
    with pytest.raises(StoreError, match=r"unpacked it takes 0.0 GB; at most 1e-06 GB are imported"):
        unpack(store, packed(tmp_path / "a.zip", {**yaml, "study/facts.json": b"0" * 2000}), largest=1000)
    with pytest.raises(StoreError, match="format 2, made by whichlayers 9; this version reads up to 1"):
        unpack(store, packed(tmp_path / "b.zip", yaml, about={"format": 2, "whichlayers": "9"}))
    with pytest.raises(StoreError, match="not a study that was exported"):
        unpack(store, packed(tmp_path / "c.zip", yaml, about={}))
    link = packed(tmp_path / "d.zip", yaml)
    with zipfile.ZipFile(link, "a") as made:
        member = zipfile.ZipInfo("study/facts.json")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(member, "/etc/passwd")
    with pytest.raises(StoreError, match="is a link or encrypted"):
        unpack(store, link)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(packed(tmp_path / "e.zip", yaml), "a") as made,
    ):
        made.writestr("study/study.yaml", "name: t")
    with pytest.raises(StoreError, match=r"holds 'study/study.yaml' twice"):
        unpack(store, tmp_path / "e.zip")
    with pytest.raises(StoreError, match=r"holds no study.yaml"):
        unpack(store, packed(tmp_path / "f.zip", {}))
    with pytest.raises(StoreError, match="was never planned"):
        unpack(store, packed(tmp_path / "g.zip", yaml))
    (tmp_path / "h.zip").write_bytes(b"no zip")
    with pytest.raises(StoreError, match="not a study that was exported, or damaged"):
        unpack(store, tmp_path / "h.zip")
    with pytest.raises(StoreError, match="no such file"):
        unpack(store, tmp_path / "absent.zip")
    assert store.studies() == []
    assert [path.name for path in (tmp_path / "results").iterdir()] == [".leases"]


def test_a_packed_study_that_is_cut_is_refused_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    pack(store, "s", tmp_path / "s.zip")
    content = bytearray((tmp_path / "s.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "s.zip") as made:
        place = made.getinfo("study/plan.parquet").header_offset + 200
    content[place] ^= 255
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(StoreError, match="not a study that was exported, or damaged"):
        unpack(store, tmp_path / "bad.zip", name="x")
    assert store.studies() == ["s", "t"]
    assert not [path for path in Path(store.files.root).iterdir() if path.name.startswith(".import")]


def test_damaged_files_of_every_kind_are_refused_in_one_line(store: Store, tmp_path: Path) -> None:
    pack(store, "s", tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as made:
        files = {name: made.read(name) for name in made.namelist()}
    refused: list[str] = []
    for place, content in enumerate(damaged_zips(files, 80)):
        (tmp_path / "bad.zip").write_bytes(content)
        try:
            unpack(store, tmp_path / "bad.zip", name=f"damaged {place}")
        except StoreError as error:
            refused.append(str(error))
    assert len(refused) > 40
    assert not any("\n" in line for line in refused)
    assert not [path for path in Path(store.files.root).iterdir() if path.name.startswith(".import")]


def test_a_file_that_grows_like_a_bomb_or_names_an_endless_format_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("whichlayers.json", json.dumps({"format": 1}))
        made.writestr("study/study.yaml", "name: s")
        made.writestr("study/facts.json", b" " * 50_000_000)
    with pytest.raises(StoreError, match="grows beyond 200 times its size"):
        unpack(Store.at(tmp_path / "results"), tmp_path / "bomb.zip")
    (tmp_path / "lying.zip").write_bytes(claiming((tmp_path / "bomb.zip").read_bytes(), 100_000_000))
    with pytest.raises(StoreError, match="grows beyond 200 times its size"):
        unpack(Store.at(tmp_path / "results"), tmp_path / "lying.zip")
    packed(tmp_path / "inf.zip", {"study/study.yaml": b"name: s"}, about={"format": float("inf")})
    with pytest.raises(StoreError, match="not a study that was exported"):
        unpack(Store.at(tmp_path / "results"), tmp_path / "inf.zip")


def test_what_a_killed_import_has_left_is_deleted_by_a_later_one(store: Store, tmp_path: Path) -> None:
    pack(store, "s", tmp_path / "s.zip")
    old, new = (Path(store.files.root) / f".import-{name}" for name in ("old", "new"))
    for left in (old, new):
        left.mkdir()
    os.utime(old, (0, 0))
    unpack(store, tmp_path / "s.zip", name="again")
    assert new.is_dir()
    assert not old.exists()


def test_results_of_another_revision_of_the_code_are_told_of(store: Store, tmp_path: Path) -> None:
    pack(store, "s", tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as made:
        members = {name: made.read(name) for name in made.namelist() if name != "whichlayers.json"}
    old = packed(tmp_path / "old.zip", members, about={"format": 1, "study": "s", "result_revision": 2})
    (note,) = unpack(store, old, name="x").notes
    assert note.startswith("Its trials were trained by revision 2 of the code, this is 3")


def test_the_commands_keep_studies_in_order(store: Store, tmp_path: Path) -> None:
    place = ("--store", store.files.root)
    said = here("studies", *place, folder=tmp_path).stdout
    assert "s: interrupted, 1/2 trials, 0.0 MB, 20" in said
    assert {row["name"] for row in json.loads(here("studies", "--json", *place, folder=tmp_path).stdout)} == {"s", "t"}
    assert "u now; run it with --name u" in here("rename", "t", "u", *place, folder=tmp_path).stdout
    assert "u is archived" in here("archive", "u", *place, folder=tmp_path).stdout
    assert "u: begun" in here("studies", "--archived", *place, folder=tmp_path).stdout
    assert "u is listed again" in here("unarchive", "u", *place, folder=tmp_path).stdout
    assert "its images are not in it" in here("export", "s", "s.zip", *place, folder=tmp_path).stdout
    assert here("import", "s.zip", "--name", "v", *place, folder=tmp_path).stdout.startswith("v: ")
    assert store.studies() == ["s", "u", "v"]
