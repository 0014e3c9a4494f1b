"""`whichlayers check --labels`: classes, scanners, the funnel, and what cannot be told apart."""

import io
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from engine.datasets.check import check
from engine.datasets.class_findings import class_notes, source_warnings
from engine.datasets.confounding import associations
from engine.datasets.funnel import Step, narrow
from engine.datasets.listing import Entry, Listing
from engine.datasets.report import CheckReport
from engine.errors import StudyFileError
from tests.made_classes import views, write_frames
from tests.made_folders import write_image
from whichlayers.cli import app


def entry(number: int, **known: str) -> Entry:
    further = {name: known.pop(name) for name in ("source", "defect") if name in known}
    return Entry(place=f"manifest.csv:{number}", image=f"{number}.png", masks=(), further=further, **known)


def entries(*counts: tuple[str, str, int], column: str = "scanner") -> list[Entry]:
    """`(label, value, images)`: that many images each, every one of a group of its own."""
    rows = [(label, value) for label, value, images in counts for _ in range(images)]
    return [entry(n, label=label, group=f"p{n}", **{column: value}) for n, (label, value) in enumerate(rows)]


def rendered(report: CheckReport) -> str:
    stream = io.StringIO()
    report.render(Console(file=stream, width=120))
    return stream.getvalue()


def test_classes_groups_and_scanners_are_counted(tmp_path: Path) -> None:
    report = check(write_frames(tmp_path / "pack", views(12, split="train")), label="label")
    assert report.problems == ()
    assert [(one.name, one.images, one.groups, one.largest_group) for one in report.by_class] == [
        ("kidney", 6, 4, 2),
        ("liver", 6, 4, 2),
    ]
    assert report.by_class[0].scanners == {"A": 4, "B": 2}
    assert report.by_class[0].splits == {"train": 6}
    assert [(one.name, one.images, one.groups, one.classes, one.smallest_side) for one in report.by_scanner] == [
        ("A", 6, 2, 2, 24),
        ("B", 6, 2, 2, 24),
    ]
    text = rendered(report)
    assert "kidney        6        4   4   2" in text
    assert "A              6        2         2            24 px" in text
    assert "masks" not in text
    assert text.splitlines()[-1] == "no problems"
    assert json.loads(json.dumps(report.to_dict()))["by_class"][1]["scanners"] == {"A": 2, "B": 4}


def test_masks_are_not_looked_at_where_classes_are(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", [{"label": ("normal", "ill")[number % 2]} for number in range(4)])
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("image,", "image,mask,").replace(".png,", ".png,masks/none.png,"))
    (folder / "masks").mkdir()
    assert len(check(folder).problems) == 4
    report = check(folder, label="label")
    assert (report.problems, report.empty_masks, report.masks) == ((), (), 0)


def test_class_folders_are_looked_through(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"views/{('long', 'short')[number % 2]}/{number}.png", number)
    report = check(tmp_path / "views", label="label")
    assert (report.layout, report.exit_code) == ("class folders", 0)
    assert [one.images for one in report.by_class] == [2, 2]
    assert [one.groups for one in report.by_class] == [0, 0]


def test_problems_of_classes_end_with_two(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", views(4))
    report = check(folder, label="view")
    assert report.problems[0].startswith("label: unknown column 'view'")
    assert report.exit_code == 2


def test_the_same_image_under_two_classes_is_a_problem(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "pack", views(4))
    shutil.copy(folder / "images/0.png", folder / "images/1.png")
    assert check(folder, label="label").problems == (
        "manifest.csv:3: images/1.png has the same pixels as images/0.png, and another class (liver, not kidney); "
        "keep one of the two",
    )


# The funnel


def test_the_funnel_of_the_paper_at_a_tenth_of_its_size_leaves_552_of_930_images() -> None:
    # Cheng and Malhi 2017: no Doppler, no annotations, recognisable anatomy: 5,518 of 9,298; the steps' sizes are made.
    rows = [
        {"doppler": "yes" if number < 120 else "no", "annotated": "yes" if number % 4 == 0 else "no", "anatomy": "yes"}
        for number in range(930)
    ]
    for row in [row for row in rows if row["doppler"] == row["annotated"] == "no"][552:]:
        row["anatomy"] = ""
    listing = Listing(
        layout="made",
        entries=tuple(
            Entry(place="", image=str(n), masks=(), label="liver" if n % 2 else "kidney", further=row)
            for n, row in enumerate(rows)
        ),
        columns=("label", "doppler", "annotated", "anatomy"),
    )
    steps = [
        Step(option="drop", column="doppler", values=("yes",)),
        Step(option="drop", column="annotated", values=("yes",)),
        Step(option="keep", column="anatomy", values=("yes",)),
    ]
    narrowed = narrow(listing, steps, "label")
    assert [(stage.step, stage.left, stage.removed) for stage in narrowed.funnel] == [
        ("in the folder", 930, 0),
        ("drop doppler = yes", 810, 120),
        ("drop annotated = yes", 607, 203),
        ("keep anatomy = yes", 552, 55),
    ]
    assert sum(narrowed.funnel[-1].classes.values()) == len(narrowed.entries) == 552
    assert narrowed.where == {"doppler": ("no",), "annotated": ("no",), "anatomy": ("yes",)}
    assert narrow(listing, [Step(column=c, values=v) for c, v in narrowed.where.items()], "label").entries == (
        narrowed.entries
    )


def frames_with_doppler(folder: Path) -> Path:
    rows = views(8, doppler="no", annotated="no")
    rows[1]["doppler"] = rows[2]["doppler"] = rows[2]["annotated"] = rows[7]["annotated"] = "yes"
    return write_frames(folder, rows)


def test_steps_go_in_the_order_of_the_command_line(tmp_path: Path) -> None:
    folder = str(frames_with_doppler(tmp_path / "pack"))
    drop, keep = ["--drop", "doppler=yes"], ["--keep=annotated=no"]
    for order, expected in (
        ([*drop, *keep], [("drop doppler = yes", 6, 2), ("keep annotated = no", 5, 1)]),
        ([*keep, *drop], [("keep annotated = no", 6, 2), ("drop doppler = yes", 5, 1)]),
        (
            [*drop, *keep, "--drop", "label=liver"],
            [("drop doppler = yes", 6, 2), ("keep annotated = no", 5, 1), ("drop label = liver", 3, 2)],
        ),
    ):
        said = CliRunner().invoke(app, ["check", folder, *order, "--json"])
        assert said.exit_code == 0, said.output
        funnel = json.loads(said.output)["funnel"]
        assert [(stage["step"], stage["left"], stage["removed"]) for stage in funnel[1:]] == expected
        assert (funnel[0]["left"], funnel[0]["classes"]) == (8, {"kidney": 4, "liver": 4})


def test_the_funnel_is_shown_with_the_where_of_a_study_file(tmp_path: Path) -> None:
    folder = str(frames_with_doppler(tmp_path / "pack"))
    said = CliRunner().invoke(
        app, ["check", folder, "--labels", "--drop", "doppler=yes", "--keep", "annotated=no"], env={"COLUMNS": "100"}
    )
    assert said.exit_code == 0
    assert "step                  left   removed   kidney   liver" in said.output
    assert "keep annotated = no      5         1        3       2" in said.output
    assert 'in a study file: where: {"doppler": ["no"], "annotated": ["no"]}' in said.output
    assert check(folder, label="label", where={"doppler": ["no"], "annotated": ["no"]}).images == 5


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (["--drop", "dopler=yes"], "drop: unknown column 'dopler'; did you mean 'doppler'?"),
        (["--keep", "doppler=maybe"], "keep: no image has doppler 'maybe'; known: no, yes"),
        (
            ["--drop", "doppler=yes", "--keep", "label=kidney", "--drop", "label=kidney"],
            "drop and keep: no image fits the conditions on doppler, label together; name fewer",
        ),
    ],
)
def test_a_step_that_makes_no_sense_is_a_problem(tmp_path: Path, step: list[str], line: str) -> None:
    said = CliRunner().invoke(app, ["check", str(frames_with_doppler(tmp_path / "pack")), *step])
    assert said.exit_code == 2
    assert f"problem: {line}" in said.output


def test_a_step_without_a_value_is_one_line(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["check", str(tmp_path), "--keep", "label"])
    assert isinstance(said.exception, StudyFileError)
    assert said.exception.problems == ("--keep label: expected COLUMN=VALUE, such as label=benign",)


def test_a_label_column_says_that_classes_are_meant(tmp_path: Path) -> None:
    folder = str(frames_with_doppler(tmp_path / "pack"))
    said = CliRunner().invoke(app, ["check", folder, "--label", "scanner", "--json"])
    assert [one["name"] for one in json.loads(said.output)["by_class"]] == ["A", "B"]
    assert json.loads(CliRunner().invoke(app, ["check", folder, "--json"]).output)["by_class"] == []
    assert CliRunner().invoke(app, ["check", folder, "--labels", "--mask", "mask"]).exit_code == 2


# What cannot be told apart


def test_cramers_v_of_a_known_table() -> None:
    # by hand: |10 x 5 - 20 x 30| / sqrt(30 x 35 x 40 x 25)
    (found,) = associations(entries(("a", "A", 10), ("a", "B", 20), ("b", "A", 30), ("b", "B", 5)))
    assert found.strength == pytest.approx(0.536745, abs=1e-6)
    assert (found.column, found.images, found.values, found.one_class, found.apart) == ("scanner", 65, 2, (), True)
    assert found.line == (
        "class and scanner are mixed up (Cramér's V = 0.54, 65 images): a network may learn the scanner in place of "
        "the class"
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=4))
def test_the_association_lies_between_nought_and_one_whatever_the_order(rows: list[tuple[int, int, int]]) -> None:
    made = entries(*((str(n), "ABC"[m], count) for n, row in enumerate(rows) for m, count in enumerate(row)))
    (found,), (again,) = associations(made), associations(made[::-1])
    assert 0 <= found.strength <= 1
    assert found.strength == pytest.approx(again.strength)


def test_classes_and_scanners_in_equal_parts_are_not_mixed_up() -> None:
    balanced = entries(*((label, scanner, 10) for label in "ab" for scanner in "AB"))
    assert associations(balanced)[0].strength == pytest.approx(0, abs=1e-9)
    assert associations(balanced)[0].line == ""


def test_a_scanner_of_one_class_is_said() -> None:
    made = entries(("a", "A", 30), ("b", "A", 30), ("b", "B", 10))
    (found,) = associations(made)
    assert found.line == "of the values of 'scanner', 1 of 2 show one class only (B) (Cramér's V = 0.35, 70 images)"


def test_classes_on_one_scanner_each_cannot_be_told_apart() -> None:
    (found,) = associations(entries(("a", "A", 10), ("b", "B", 10)))
    assert found.line == (
        "each class occurs with one scanner only: class and scanner cannot be told apart (Cramér's V = 1.00, 20 images)"
    )


def test_sources_are_looked_at_too_but_not_columns_that_name_images() -> None:
    made = entries(("a", "hospital one", 10), ("b", "hospital two", 10), column="source")
    assert [found.column for found in associations(made)] == ["source"]
    named = [entry(n, label="ab"[n % 2], source=f"address {n}") for n in range(20)]
    assert associations(named) == ()
    assert associations(entries(("a", "x", 10), ("b", "y", 10), column="defect")) == ()


def test_few_images_and_groups_of_a_class_are_said() -> None:
    made = [
        *(entry(n, label="common", group=f"p{n // 2}") for n in range(20)),
        *(entry(n, label="lone", group="q") for n in range(12)),
        *(entry(n, label="tiny", group=f"r{n}") for n in range(3)),
        *(entry(n, label="most", group=f"s{max(0, n - 9)}") for n in range(12)),
    ]
    assert class_notes(made) == [
        "fewer than 10 images of a class: tiny (3); accuracy there is hardly known",
        "one group only of a class: lone; split by group, it trains or is tested, not both",
        "more than half of a class's images from one group: most (10 of 12)",
    ]


def test_groups_of_one_image_each_are_said() -> None:
    assert class_notes(entries(("a", "", 10), ("b", "", 10))) == [
        "every group is a single image: whether images of one patient are kept apart is not known"
    ]


def test_a_class_that_a_given_set_lacks_is_said() -> None:
    made = [entry(n, label="ab"[n % 2], split="train" if n % 2 else ("train", "test")[n % 4 // 2]) for n in range(40)]
    assert class_notes(made) == ["no image of a class in the set 'test' of the column 'split': b"]


def test_what_the_datas_own_description_warns_of_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "SOURCE.md").write_text(
        "# Lungs\n- Grey PNG, 320 px. Caveat: class and source are confounded, the set is small. Licence CC BY.\n"
        "- For examples, not for accuracy claims.\n"
    )
    assert source_warnings(tmp_path) == [
        "SOURCE.md: Caveat: class and source are confounded, the set is small.",
        "SOURCE.md: For examples, not for accuracy claims.",
    ]
    assert source_warnings(tmp_path / "none") == []


# Real images. Counts and caveats: ../shared/data/README.md and each pack's SOURCE.md.


def test_the_muscles_of_three_scanners_show_one_class_only(shared_data: Path) -> None:
    report = check(shared_data / "muscle_us_multiscanner", label="label")
    (found,) = report.associations
    assert found.one_class == ("Philips HD11XE", "Telemed LogicScan 128", "Telemed SmartUs")
    assert {one.name: one.images for one in report.by_scanner} == {
        "GE LOGIQ E9": 155,
        "Philips HD11XE": 10,
        "Telemed LogicScan 128": 10,
        "Telemed SmartUs": 100,
    }
    assert "one group only of a class: gastrocnemius_lateralis; split by group, it trains or is tested, not both" in (
        report.caveats
    )
    assert set(report.caveats) <= set(report.notes)


def test_the_lungs_of_the_linear_probe_are_reached_by_the_funnel(shared_data: Path) -> None:
    report = check(
        shared_data / "pocus_lung_probe",
        label="label",
        steps=[
            Step(option="drop", column="label", values=("viral_pneumonia",)),
            Step(option="keep", column="scanner", values=("linear_probe",)),
        ],
    )
    assert [stage.left for stage in report.funnel] == [507, 489, 33]
    assert report.funnel[-1].classes == {"covid19": 9, "healthy": 18, "pneumonia": 6}
    assert report.problems == ()


def test_a_real_pack_with_the_same_frame_twice_is_told_so(shared_data: Path) -> None:
    (line,) = check(shared_data / "hip_quality_spj", label="label").problems
    assert line.startswith("manifest.csv:3: images/hip_standard_standard_1.png has the same pixels as")


def test_97_classes_of_photographs_are_counted(shared_data: Path) -> None:
    pack = shared_data / "natural_caltech101"
    listed = Counter(line.split(",")[2] for line in (pack / "manifest.csv").read_text().splitlines()[1:])
    report = check(pack, label="label", steps=[Step(column="label", values=tuple(sorted(listed)[:5]))])
    assert len(listed) == 97
    assert [one.images for one in report.by_class] == [20] * 5
