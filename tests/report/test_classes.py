"""The report of a study of classes: accuracy everywhere, who said what, published values beside, no word of masks."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright import sync_api
from typer.testing import CliRunner

from dashboard.figures.readers import OUT_OF_THE_BOX
from dashboard.report import class_sheets
from dashboard.report.class_drawings import class_drawings
from dashboard.report.findings import Findings, read_findings
from dashboard.report.latex import latex_table
from dashboard.report.methods import hashes
from dashboard.report.page import report_page
from dashboard.report.pictures import strips
from dashboard.report.readers import Readers
from dashboard.report.sheets import Sheet
from dashboard.report.tidy import tidy_tables
from engine import reader_study
from engine.datasets.cached import load_cached
from engine.significance.accuracy import accuracy_interval
from engine.store import Store
from engine.trial import AS_PRETRAINED, Trial
from tests.browser.conftest import OPTIONS, chromium, watched
from tests.made_classification import CAVEAT, CLASSES, made_classification
from tests.made_readers import person
from tests.report.conftest import NOW, text_of
from whichlayers.cli import app

OF_MASKS = re.compile(r"\b(masks?|dice|outlines?|outlined|structures?|contours?|segment\w*|hd95|iou)\b", re.IGNORECASE)
STRATEGIES = ("whole network", "input layers", "from scratch")
RESAMPLES = 200
WHOLE = "CVCNet · whole network · 75 %"


def one_collapsed(place: int, trial: Trial) -> dict[str, Any]:
    return {"collapsed": True} if trial.strategy == "from scratch" and trial.fold == 0 else {}


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """Two thousand take most of the time, and say nothing of what stands where."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashboard.report.readers.RESAMPLES", RESAMPLES)
        yield


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`views` is finished and read by two persons, `begun` has no complete cell, `own` has classes of its own."""
    folder = tmp_path_factory.mktemp("classes")
    kept = folder / "r", folder / "c"
    small: dict[str, Any] = {"patients": 8, "frames": 1, "strategies": STRATEGIES}
    store = made_classification(*kept, changes=one_collapsed, **small)
    dataset = load_cached(store.facts("views")["data"]["fingerprint"], folder / "c")
    frames = reader_study.choose_frames(store.plan("views"), dataset, fold=0)
    for name, until in (("R1", len(frames.frames)), ("<b>R2</b>", 5)):
        sitting = reader_study.open_reader(store, "views", person(name), frames)
        for number in range(until):
            index = sitting.reading().current
            assert index is not None
            label = next(frame.label for frame in frames.frames if frame.index == index)
            sitting.answer(index, label if number % 3 else CLASSES[0], seconds=2.0)
    small |= {"fractions": (75,), "as_pretrained": False}
    made_classification(*kept, study="begun", finished=lambda place, trial: place < 3, state="stopped", **small)
    made_classification(*kept, study="own", **small)
    return folder


@pytest.fixture(scope="module")
def classes(places: Path) -> Callable[[str], Findings]:
    kept: dict[str, Findings] = {}

    def find(study: str) -> Findings:
        if study not in kept:
            found = read_findings(Store.at(places / "r"), study)
            kept[study] = of_kind(found, "folder") if study == "own" else found
        return kept[study]

    return find


def of_kind(found: Findings, kind: str) -> Findings:
    return replace(found, facts={**found.facts, "data": {**found.facts["data"], "kind": kind}})


@pytest.fixture(scope="module")
def readers(classes: Callable[[str], Findings]) -> Readers:
    return Readers(findings=classes("views"))


@pytest.fixture(scope="module")
def page(classes: Callable[[str], Findings]) -> str:
    return report_page(classes("views"), now=NOW)


@pytest.fixture(scope="module")
def own_page(classes: Callable[[str], Findings], places: Path) -> str:
    """Of classes of its own, with images, and a study file that names columns of masks."""
    text = "data:\n  learn: labels\n  mask: [mask]\n  where: {}\nstart_weights:\n- name: a\n  mask: [mask]\n"
    return report_page(replace(classes("own"), text=text), strips=strips(classes("own"), places / "c"), now=NOW)


def visible(page: str) -> str:
    """What stands in the page, without its scripts and its style sheet."""
    return re.sub(r"<(script|style)[ >].*?</\1>", "", page, flags=re.S)


def words_of(figure: object) -> Iterator[str]:
    """Every word that a stored figure shows."""
    if isinstance(figure, dict):
        for name, part in figure.items():
            if name in ("text", "hovertext", "ticktext", "name") and isinstance(part, str | list):
                yield from (str(one) for one in ([part] if isinstance(part, str) else part))
            yield from words_of(part)
    elif isinstance(figure, list):
        for part in figure:
            yield from words_of(part)


def lines(sheet: Sheet, part: int = 0) -> dict[str, tuple[str, ...]]:
    return {line[0]: line for line in sheet.parts[part][1]}


def test_no_word_of_masks_stands_in_the_page_its_figures_or_its_tables(
    page: str, own_page: str, classes: Callable[[str], Findings]
) -> None:
    stored = re.findall(r"<script type=\"application/json\">(.*?)</script>", page, flags=re.S)
    drawn = " ".join(word for text in stored for word in words_of(json.loads(text)))
    assert "accuracy" in drawn
    assert OF_MASKS.findall(visible(page) + drawn) == []
    told = classes("views")
    assert OF_MASKS.findall(latex_table(told)) == []
    assert OF_MASKS.findall(" ".join(tidy_tables(told).values())) == []
    assert OF_MASKS.findall(re.sub(r'"data:image[^"]*"', "", visible(own_page))) == []


def test_the_study_files_columns_of_masks_are_left_out(own_page: str) -> None:
    assert "<pre>data:\n  learn: labels\n  where: {}\nstart_weights:\n- name: a</pre>" in own_page


def test_the_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    assert not re.search(r"(src|href)=\"(?!#|data:|https://doi\.org)", visible(page))
    assert "url(" not in visible(page)
    assert "data:image/" not in visible(page)
    assert page.count("plotly.js v") == 1


def test_answer_caveat_and_means_are_of_accuracy(page: str) -> None:
    assert "<h2>Table II: Accuracy on test images" in page
    assert "<b>Mind:</b> Simulated: shows the method, not evidence." in page
    assert CAVEAT.split(":")[1].strip() in page
    assert "highest mean test accuracy" in page
    assert re.search(r"<b>Recommendation, 75 %:</b> .*accuracy", page)
    assert "‡: some trainings collapsed, predicting one class for all images" in page


def test_accuracy_stands_with_mean_sd_interval_and_n(readers: Readers, classes: Callable[[str], Findings]) -> None:
    found, sheet = classes("views"), class_sheets.accuracy_sheet(readers)
    assert [name.split(" of the")[0] for name, _ in sheet.parts] == ["75 %", "20 %", class_sheets.AS_THEY_ARE]
    assert {len(line) for _, rows in sheet.parts for line in rows} == {len(sheet.columns)}
    cell = found.cells.set_index(["fraction", "strategy"]).loc[(75.0, "whole network")]
    row = lines(sheet)["whole network"]
    assert row[1] == f"{cell['mean']:.3f} ({cell['sd']:.3f})"
    assert row[4:7] == ("56", "8", "4")
    own = readers.by_name[WHOLE]
    alone = accuracy_interval(own, classes=CLASSES, resamples=RESAMPLES)
    assert alone.accuracy.low is not None
    assert row[2:4] == (f"{own['accuracy'].mean():.3f}", f"[{alone.accuracy.low:.3f}, {alone.accuracy.high:.3f}]")
    assert sheet.columns[-1] == "left on start images"
    assert lines(sheet, 2)[OUT_OF_THE_BOX][-1] == "0.975"


def test_classes_scanners_and_persons_have_their_tables(readers: Readers) -> None:
    own = readers.by_name[WHOLE]
    row = lines(class_sheets.classes_sheet(readers, WHOLE, "the reference"))["A4C"]
    right = own[(own["label"] == "A4C") & (own["predicted"] == "A4C")]
    assert row[1] == str((own["label"] == "A4C").sum())
    assert row[3] == f"{len(right) / (own['label'] == 'A4C').sum():.3f}"
    assert row[6] == f"{len(right) / (own['predicted'] == 'A4C').sum():.3f}"
    scanners = class_sheets.scanners_sheet(readers)
    assert [name for name, _ in scanners.parts] == ["scanner A", "scanner B"]
    assert lines(scanners, 1)[WHOLE][1] == f"{own.loc[own['scanner'] == 'B', 'accuracy'].mean():.3f}"
    persons = lines(class_sheets.persons_sheet(readers))
    assert set(persons) == {"R1", "<b>R2</b>"}
    assert persons["<b>R2</b>"][4] == f"5 of {len(readers.by_name['R1'])}"
    against = lines(class_sheets.against_sheet(readers))
    assert set(against) == set(readers.by_name) - {WHOLE}
    assert against["R1"][-1] == str(len(readers.by_name["R1"]))


def test_every_sheet_has_as_many_entries_as_columns(page: str) -> None:
    tables = re.findall(r"<table class=\"list\">(.*?)</table>", page, flags=re.S)
    assert len(tables) >= 12
    for table in tables:
        columns = len(re.findall(r"<th scope=\"col\">", table))
        rows = re.findall(r"<tr>(.*?)</tr>", table.split("</thead>")[1], flags=re.S)
        assert {len(re.findall(r"<t[hd]\b", row)) for row in rows} == {columns}


def test_figures_show_accuracy_confusion_sizes_what_is_left_and_differences(readers: Readers) -> None:
    drawn = class_drawings(readers)
    titles = [drawing.title for drawing in drawn]
    for title in (
        "Accuracy of every network and person, and the published ones", "Accuracy against training-set size",
        "What adapting leaves of the old task", f"Confusion: {WHOLE} (the reference)", "Confusion: R1 (a person)",
        f"Errors of R1 minus those of {WHOLE}", f"Paired differences to {WHOLE}", "Pairs of strategies",
    ):  # fmt: skip
        assert title in titles
    assert not any("Click" in drawing.caption for drawing in drawn)
    assert all(bool(drawing.widest) == drawing.title.startswith(("Confusion", "Errors")) for drawing in drawn)
    for drawing in drawn:
        assert drawing.light.data
        assert drawing.light.to_json() != drawing.dark.to_json()


def test_published_values_stand_beside_the_papers_classes_alone(
    page: str, own_page: str, readers: Readers, classes: Callable[[str], Findings]
) -> None:
    row = lines(class_sheets.beside_published(readers)[0])["CVCNet: input layers"]
    assert row[4:] == ("0.924 ± 0.020", "8,234")
    assert row[1] == lines(class_sheets.accuracy_sheet(readers))["input layers"][2]
    assert "Beside the published study" in page
    assert "Pasdeloup" in page
    assert "Amiri, Brooks, Rivaz (2020)" not in page
    assert "Beside the published study" not in own_page
    assert "Pasdeloup, Østvik" not in own_page.split('id="methods"')[0]
    other = of_kind(classes("own"), "abdominal phantoms")
    named = {name: getattr(other, name).assign(model="caffenet") for name in ("plan", "trials")}
    cheng = replace(other, **named)
    sheets = class_sheets.beside_published(Readers(findings=cheng))
    assert [sheet.title for sheet in sheets][1:] == [
        "The published results: images that each reader got right",
        "The published tests, as printed and computed anew here",
    ]
    for line in sheets[2].parts[0][1]:
        assert float(line[3]) == pytest.approx(float(line[1]), abs=0.006)
    assert "CaffeNet: FC6-8" in lines(sheets[0])


def test_the_methods_say_what_the_plan_says(classes: Callable[[str], Findings]) -> None:
    text = text_of(classes("views"))
    for sentence in (
        "Seven classes were told apart: A2C (8), A4C (8)",
        "Scanners: A (28) and B (28).",
        "into four folds, by group, so that no group had images both in a test set and",
        "The network was CVCNet (our reconstruction), width 16, with a softmax over seven classes.",
        "Frozen normalisation layers kept the running statistics of their start weights.",
        "Networks were trained with Adam and cross entropy, in batches of 2 images, 20 batches per epoch",
        "Accuracy is the part of the test images whose most probable class is the true one",
        "The start weights were tested on the same folds as they are, without fine-tuning.",
        "Two collapsed, predicting one class for all images, and are kept.",
        "Two persons classified 5 to 14 of 14 test images of fold 0, in a random order of their own",
        "within 0.01 accuracy",
        "Tukey's HSD over folds",
    ):
        assert sentence in text, sentence
    assert not re.search(r"\b(None|nan)\b|  |\.\.|\{|\}", text)
    assert set(hashes(classes("views"))) == {"images", "start weights scanner A", "test sets"}


def test_fixed_iterations_crops_and_new_classes_are_told(classes: Callable[[str], Findings]) -> None:
    found = classes("own")
    changed = found.plan.assign(
        iterations=800, optimiser="sgd", momentum=0.9, weight_decay=5e-4, unit_rates='{"fc8": 10.0}', crop=56,
        crops_kept=8, subtract_mean=True, model="caffenet", new_output=True, validation=0.0, shift=0.0, zoom=0.0,
        flip=False,
    )  # fmt: skip
    text = text_of(replace(found, plan=changed, text="data:\n  crop: {A: 60, B: 40}\n"))
    for sentence in (
        "stochastic gradient descent (momentum 0.9 and weight decay 0.0005) and cross entropy",
        "for 800 iterations without early stopping; the last weights were kept.",
        "Of it these units had a multiple: fc8 10 times.",
        "the network saw 56 × 56 pixels: at random places in training, in the centre in tests.",
        "The mean of the fold's training images was subtracted.",
        "The central square of each image (60 pixels of A and 40 pixels of B) was cut out and resized to 64 × 64",
        "Beyond the crops, training images were not changed.",
        "of eight random views of each training image",
        "the output layer began at random",
        "Training images were a pool of 75 % of all images",
        "The network was CaffeNet",
    ):
        assert sentence in text, sentence
    assert "normalisation" not in text


def test_given_test_sets_have_intervals_with_one_fold(classes: Callable[[str], Findings]) -> None:
    found = classes("own")
    one = {name: getattr(found, name).query("fold == 0").assign(folds=1) for name in ("plan", "trials", "folds")}
    given = replace(found, **{**one, "plan": one["plan"].assign(split_by="given")})
    ungrouped = Readers(findings=replace(found, **one)).answers.assign(group="")
    assert "Training and test images are those that the data name." in text_of(given)
    assert "Test images were given and no training saw one" in text_of(given)
    alone, by_fold = Readers(findings=given), Readers(findings=replace(found, **one))
    for one_of_both in (alone, by_fold):
        one_of_both.__dict__["answers"] = ungrouped
    assert alone.measures["low"].notna().any()
    assert by_fold.measures["low"].isna().all()
    assert "no test and no interval" in text_of(by_fold.findings)


def test_an_unfinished_study_says_so_and_tells_nothing_of_test_images(classes: Callable[[str], Findings]) -> None:
    made = report_page(classes("begun"), now=NOW)
    assert "<b>stopped</b>" in made
    assert "Recommendation" not in made
    assert "plotly.js v" not in made
    assert OF_MASKS.findall(visible(made)) == []
    assert set(tidy_tables(classes("begun"))) == {"cells", "folds", "images", "differences", "tukey"}


def test_what_a_reader_called_himself_is_no_html(page: str) -> None:
    assert "<b>R2</b>" not in visible(page).replace("&lt;b&gt;R2&lt;/b&gt;", "").replace("\\u003cb\\u003e", "")
    assert "&lt;b&gt;R2&lt;/b&gt;" in page


def test_tables_for_programs_hold_readers_classes_scanners_and_confusion(
    classes: Callable[[str], Findings], readers: Readers
) -> None:
    tables = {name: pd.read_csv(io.StringIO(text)) for name, text in tidy_tables(classes("views")).items()}
    assert list(tables) == [
        "cells",
        "folds",
        "images",
        "differences",
        "tukey",
        "readers",
        "classes",
        "scanners",
        "confusion",
    ]
    assert set(tables["cells"]["measure"]) == {"Accuracy", "Top-2", "Balanced accuracy"}
    assert set(tables["readers"]["reader"]) == set(readers.by_name)
    assert len(tables["classes"]) == len(readers.by_name) * len(CLASSES)
    confusion = tables["confusion"].query("reader == 'R1'")
    assert confusion["images"].sum() == len(readers.by_name["R1"])
    assert set(tables["differences"]["family"]) == {"reference", "shallow and deep"}


def test_start_weights_as_they_are_and_seeds_are_readers_too(readers: Readers) -> None:
    own = readers.answers[readers.answers["strategy"] == AS_PRETRAINED]
    assert set(own["reader"]) == {f"CVCNet · {OUT_OF_THE_BOX}"}
    assert len(own) == 56
    assert readers.looked_at[WHOLE].startswith("the reference")


def test_surest_mistakes_and_right_answers_come_where_images_are_asked_for(
    classes: Callable[[str], Findings], places: Path, own_page: str
) -> None:
    shown = strips(classes("own"), places / "c")
    assert shown[0].title == f"{WHOLE} (the reference)"
    assert [end for end, _ in shown[0].ends] == ["surest mistakes", "surest right answers"]
    for end, pictures in shown[0].ends:
        assert all(("said" in picture.caption) == (end == "surest mistakes") for picture in pictures)
    assert "Most confident mistakes and right answers" in own_page
    assert own_page.count("data:image/jpeg;base64,") == sum(len(pictures) for _, pictures in shown[0].ends)
    assert not any(str(name) in own_page for name in set(classes("own").images["image"]))


@pytest.mark.parametrize("options", [[], ["--latex"], ["--csv"]])
def test_the_command_writes_every_kind(places: Path, tmp_path: Path, options: list[str]) -> None:
    given = ["--store", str(places / "r"), "--cache", str(places / "c"), "-o", str(tmp_path / "out")]
    said = CliRunner().invoke(app, ["report", "own", *options, *given])
    assert said.exit_code == 0, said.output
    assert (tmp_path / "out").exists()


@pytest.mark.browser
def test_the_file_opens_offline_and_draws_itself(page: str, tmp_path: Path) -> None:
    file = tmp_path / "views-report.html"
    file.write_text(page, encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        opened = running.new_page(viewport={"width": 1200, "height": 900})
        asked: list[str] = []
        wrong = watched(opened)
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(file.as_uri())
        figures = len(re.findall(r"class=\"drawing\"", page))
        sync_api.expect(opened.locator(".drawing .main-svg:first-child")).to_have_count(figures)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.locator(".modebar-btn").count() == 0
        assert asked == [file.as_uri()]
        assert wrong == []
        running.close()
