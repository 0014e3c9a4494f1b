"""The report: one HTML file that needs nothing else, Table II for a paper, tidy tables, the methods in words."""

import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright import sync_api
from streamlit.testing.v1 import AppTest

from dashboard.figures.cells import CHOSEN
from dashboard.figures.measures import DICE, MEASURES
from dashboard.report import comparisons, sheets, words
from dashboard.report.colours import STEPS, step, step_colours
from dashboard.report.drawings import drawings
from dashboard.report.findings import Findings, read_findings
from dashboard.report.grid import Cell, grid
from dashboard.report.latex import escape, latex_table
from dashboard.report.methods import hash_of_test_sets, hashes, methods
from dashboard.report.page import published_rows, report_page, without_places
from dashboard.report.pictures import strips
from dashboard.report.tidy import tidy_tables, zipped
from dashboard.views import export
from engine.errors import DataError, StoreError
from engine.published import CITATION
from engine.significance import compare
from engine.store import Store
from engine.trial import Trial
from tests.browser.conftest import OPTIONS, chromium, watched
from tests.made_store import made_store

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
STRATEGIES = ("whole network", "contracting", "expanding", "all except block 5", "block 5", "from scratch")
VERSIONS = {"whichlayers": "9.8.7", "torch": "2.15.0", "ray": "2.60.0", "numpy": "2.4.6", "python": "3.11.7"}


def odd(place: int, trial: Trial) -> dict[str, Any]:
    """What is unusual in the made study: from scratch fails in fold 1, block 5 collapses in fold 0."""
    if trial.strategy == "from scratch" and trial.fold == 1:
        return {"state": "not_converged"}
    return {"collapsed": True} if trial.strategy == "block 5" and trial.fold == 0 else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies with three folds, two folds and several rates, two start weights, and one that has hardly begun."""
    folder = tmp_path_factory.mktemp("report")

    def study(name: str, **more: Any) -> None:
        made_store(
            folder / "r", folder / "c", study=name, images=25, image_size=32,
            **{"strategies": STRATEGIES, "facts": {"versions": VERSIONS}, **more},
        )  # fmt: skip

    study("three", folds=(0, 1, 2), changes=odd, fractions=(80, 5))
    study("two", folds=(0, 1), fractions=(80,), rates=(1e-3, 1e-4))
    study("starts", folds=(0, 1, 2), fractions=(80,), starts=("natural", "ultrasound"), as_pretrained=True)
    study("begun", folds=(0, 1, 2), fractions=(80,), finished=lambda place, trial: place < 7, state="stopped")
    study("one", folds=(0,), fractions=(80,))
    Store.at(folder / "r").begin("prepared", "name: prepared\n")
    return folder


@pytest.fixture(scope="module")
def read(folder: Path) -> Callable[[str], Findings]:
    """Findings by the study's name, each read once."""
    kept: dict[str, Findings] = {}

    def find(study: str) -> Findings:
        return kept.setdefault(study, read_findings(Store.at(folder / "r"), study))

    return find


@pytest.fixture(scope="module")
def page(read: Callable[[str], Findings]) -> str:
    return report_page(read("three"), now=NOW)


def text_of(found: Findings) -> str:
    """The methods in one piece."""
    return " ".join(paragraph.text for paragraph in methods(found))


# What is read


def test_a_study_without_a_plan_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(StoreError, match="prepared: nothing is planned yet"):
        read_findings(Store.at(folder / "r"), "prepared")
    with pytest.raises(StoreError, match="no study 'none'"):
        read_findings(Store.at(folder / "r"), "none")


def test_a_rate_that_was_not_tried_is_refused_with_those_that_were(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"no table at the learning rate 0.5; there are: chosen on validation, 0.001"):
        read_findings(Store.at(folder / "r"), "two", rate=0.5)
    assert read_findings(Store.at(folder / "r"), "two", rate=1e-3).rate == 1e-3


def test_test_images_are_of_complete_cells_alone(read: Callable[[str], Findings]) -> None:
    assert not len(read("begun").images)
    assert not read("begun").cells["mean"].notna().any()
    assert len(read("three").images) == 2 * 15 * len(STRATEGIES) - 2 * 5  # without the fold that failed, twice


def test_what_begins_at_random_stands_in_the_rows_of_each_start(read: Callable[[str], Findings]) -> None:
    found = read("starts")
    assert [row.dataset for row in found.rows] == ["SUS (simulated) · natural", "SUS (simulated) · ultrasound"]
    for row in found.rows:
        assert set(row.images["strategy"]) == set(STRATEGIES)
    assert list(found.pretrained["start"]) == ["natural", "ultrasound"]


# Table II


def cells_of(found: Findings, **options: Any) -> dict[tuple[str, str, str], Cell]:
    """Cells of the grid by data set, fraction and strategy."""
    table = grid(found, **options)
    return {
        (group.dataset, line.fraction, name): cell
        for group in table.groups
        for line in group.lines
        for name, cell in zip(table.strategies, line.cells, strict=True)
    }


def test_a_cell_has_its_mean_sd_colour_and_marks(read: Callable[[str], Findings]) -> None:
    found = read("three")
    cells = cells_of(found)
    known = found.cells.set_index(["fraction", "strategy"])
    for (_, fraction, name), cell in cells.items():
        row = known.loc[float(fraction.removesuffix(" %")), name]
        assert (cell.mean, cell.sd) == (f"{row['mean']:.3f}", f"({row['sd']:.3f})")
        assert (cell.failed, cell.collapsed) == (name == "from scratch", name == "block 5")
    at_80 = {name: cell for (_, fraction, name), cell in cells.items() if fraction == "80 %"}
    means = known.loc[80.0, "mean"]
    assert (at_80[means.idxmax()].step, at_80[means.idxmin()].step) == (STEPS - 1, 0)
    assert at_80[means.idxmax()].best
    notes = " ".join(grid(found).notes)
    assert "†: some trainings failed" in notes
    assert "‡: some trainings collapsed" in notes


def test_a_cell_that_is_not_complete_shows_its_folds_and_no_colour(read: Callable[[str], Findings]) -> None:
    cells = cells_of(read("begun"))
    shown = {name: cell.mean for (_, _, name), cell in cells.items()}
    assert shown["whole network"] == "2/3"
    assert set(shown.values()) == {"1/3", "2/3"}
    assert not any(cell.known or cell.best or cell.step is not None for cell in cells.values())
    assert "folds done" in " ".join(grid(read("begun")).notes)


def test_one_fold_has_a_mean_and_no_standard_deviation(read: Callable[[str], Findings]) -> None:
    assert {cell.sd for cell in cells_of(read("one")).values()} == {""}


def test_published_rows_stand_below_and_only_the_fractions_asked_for_are_shown(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = grid(found, published_rows(found), fractions=(80.0,))
    assert [(group.published, [line.fraction for line in group.lines]) for group in table.groups] == [
        (False, ["80 %"]), (True, ["80 %"]),
    ]  # fmt: skip
    assert table.has_published
    assert table.groups[1].lines[0].cells[0].mean == "0.834"  # Amiri et al. 2020, Table II, SUS 80 %, whole network


def test_of_a_distance_the_lowest_is_best(read: Callable[[str], Findings]) -> None:
    found, measure = read("three"), MEASURES["HD95"]
    means = found.cells_of(measure).query("fraction == 80").set_index("strategy")["mean"]
    cells = {name: cell for (_, fraction, name), cell in cells_of(found, measure=measure).items() if fraction == "80 %"}
    assert cells[means.idxmin()].best
    assert cells[means.idxmin()].step == STEPS - 1
    assert grid(found, measure=measure).title == "HD95 (mm)"
    assert found.cells_of(DICE) is found.cells


def test_a_strategy_that_is_not_inferior_is_marked_and_the_recommended_one_framed(folder: Path) -> None:
    store = made_store(
        folder / "same", folder / "c", images=25, image_size=32, folds=(0, 1, 2), fractions=(80,),
        strategies=("whole network", "contracting"),
    )  # fmt: skip
    found = read_findings(store, "made")
    images = found.images.assign(dice=0.8)
    found.__dict__["images"] = images  # every image alike: the loss is zero
    cells = {name: cell for (_, _, name), cell in cells_of(found).items()}
    assert cells["contracting"].not_inferior
    assert cells["contracting"].recommended
    assert not cells["whole network"].recommended
    assert "Framed: recommended." in grid(found).notes


# The page


def test_the_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    head = page.split("<script>")[0]
    assert not re.search(r"(src|href)=\"(?!#|data:|https://doi\.org)", head)
    assert "@import" not in head
    assert "url(" not in head
    assert page.count("plotly.js v") == 1
    assert page.count("sendChartToCloud") >= 1


def test_the_page_answers_names_its_data_and_cites(page: str, read: Callable[[str], Findings]) -> None:
    found = read("three")
    assert "<h1>Which layers should be fine-tuned for ultrasound?</h1>" in page
    assert found.rows[0].recommendation is not None
    assert words.html_of(found.rows[0].recommendation.sentence) in page
    assert "25 B-mode images simulated here" in page
    assert "start weights: 1,000 made natural-like images" in page
    assert f'href="{CITATION.url}"' in page
    assert "SUS (simulated), stands in for SUS" in page
    assert "No difference shown: these are simulated images made here" in page
    assert "2026-11-21 09:30 UTC" in page
    assert "For research, not for diagnosis." in page


def test_table_2_is_there_without_a_script(page: str) -> None:
    body = page.split("<script>")[0]
    rows = re.findall(r"<tr><th class=\"row\" scope=\"row\">(.*?)</th>(.*?)</tr>", body, flags=re.S)
    assert [name for name, _ in rows] == ["80 %", "5 %"] * 2
    for _, cells in rows:
        assert len(re.findall(r"<td", cells)) == len(STRATEGIES)
        assert len(re.findall(r"<b>", cells)) == 1
    assert re.search(r"s20 ", body)
    assert ".s20{background:#6bb77a !important}" in body
    assert "@media screen and (prefers-color-scheme: dark)" in body
    assert "@page" in body


def test_every_figure_comes_light_and_dark(page: str, read: Callable[[str], Findings]) -> None:
    titles = re.findall(r"<figcaption><b>(.*?)</b>", page)
    assert titles[:3] == ["The strategies", "Order of the strategies, ours and published", "Ranks, published and ours"]
    assert {"Transfer or scratch", "Shallow or deep"} <= set(titles)
    stored = re.findall(r"<script type=\"application/json\">(.*?)</script>", page, flags=re.S)
    assert len(stored) == len(titles) == len(drawings(read("three")))
    for text in stored:
        figure = json.loads(text)
        assert figure["light"]["data"]
        assert figure["light"] != figure["dark"]


def test_what_a_user_wrote_is_no_html(folder: Path) -> None:
    evil = "<script>alert(1)</script>"
    store = made_store(
        folder / "evil", folder / "c", images=25, image_size=32, folds=(0,), fractions=(80,),
        facts={"question": f"Which {evil} & why?"}, state="running",
    )  # fmt: skip
    store.begin("made", f"name: made # {evil}\n")
    made = report_page(read_findings(store, "made"), now=NOW)
    assert evil not in made
    assert "<h1>Which &lt;script&gt;alert(1)&lt;/script&gt; &amp; why?</h1>" in made


def test_the_study_file_in_the_page_names_no_folder_of_this_machine() -> None:
    text = 'data:\n  folder: "/home/me/breast"\n- file: ~/w/start.safetensors\n  folder: none\n  folder: relative/a\n'
    assert without_places(text) == (
        "data:\n  folder: …/breast\n- file: …/start.safetensors\n  folder: none\n  folder: relative/a\n"
    )


def test_an_unfinished_study_says_so_and_claims_nothing(read: Callable[[str], Findings]) -> None:
    made = report_page(read("begun"), now=NOW)
    assert "<b>stopped</b> · <b>7 / 18</b> trials" in made
    assert "11 of 18 trials have no result" in made
    assert "Recommendation" not in made
    assert "plotly.js v" not in made  # nothing to draw yet
    assert "2/3" in made


def test_advice_on_a_row_that_is_not_done_says_that_it_is_of_so_far(folder: Path) -> None:
    store = made_store(
        folder / "part", folder / "c", images=25, image_size=32, folds=(0, 1, 2), fractions=(80,),
        strategies=STRATEGIES, finished=lambda place, trial: trial.strategy != "block 5",
    )  # fmt: skip
    found = read_findings(store, "made")
    assert [line.split(":")[0] for line in found.advice] == ["**So far, with 5 of 6 strategies done, 80 %"]
    assert "So far, with 5 of 6 strategies done" in report_page(found, now=NOW)


def test_two_folds_say_why_there_is_no_test(read: Callable[[str], Findings]) -> None:
    made = report_page(read("two"), now=NOW)
    assert "no test and no interval" in made
    assert "p (Holm)" not in made
    assert "95 % interval</th>" not in made


def test_images_are_in_the_page_only_where_they_are_asked_for(
    page: str, read: Callable[[str], Findings], folder: Path
) -> None:
    assert "data:image/jpeg" not in page.split("<script>")[0]
    shown = strips(read("three"), folder / "c")
    assert [strip.title.split(":")[0] for strip in shown] == ["SUS (simulated), 80 %", "SUS (simulated), 5 %"]
    assert [end for end, _ in shown[0].ends] == ["worst", "best"]
    pictures = [picture for strip in shown for _, of_end in strip.ends for picture in of_end]
    assert len(pictures) == 2 * 2 * 4
    names = set(read("three").images["image"])
    assert not any(name in picture.caption for name in names for picture in pictures)
    made = report_page(read("three"), strips=shown, now=NOW)
    assert made.count("data:image/jpeg;base64,") == len(pictures)
    with pytest.raises(DataError):
        strips(read("three"), folder / "no such cache")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield running
        running.close()


@pytest.mark.browser
def test_the_file_opens_offline_and_draws_itself_light_dark_and_on_paper(
    page: str, browser: sync_api.Browser, tmp_path: Path
) -> None:
    file = tmp_path / "three-report.html"
    file.write_text(page, encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    wrong = watched(opened)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file.as_uri())
    figures = len(re.findall(r"class=\"drawing\"", page))
    sync_api.expect(opened.locator(".drawing .main-svg:first-child")).to_have_count(figures)
    ink = "getComputedStyle(document.querySelector('.drawing text')).fill"
    light = opened.evaluate(ink)
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_function(f"{ink} != '{light}'")
    assert opened.locator(".modebar-btn").count() == 0
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    green = "getComputedStyle(document.querySelector('td.s20')).backgroundColor"
    before = opened.evaluate(green)
    opened.locator("#safe").check()
    assert opened.evaluate(green) != before
    paper = opened.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    assert asked == [file.as_uri()]
    assert wrong == []
    opened.close()


@pytest.mark.browser
def test_tables_are_there_without_javascript(page: str, browser: sync_api.Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(file.as_uri())
    sync_api.expect(opened.locator(".table2 tbody td").first).to_be_visible()
    assert opened.locator(".table2 tbody td").count() == 4 * len(STRATEGIES)
    assert opened.locator(".main-svg").count() == 0
    context.close()


# Tables of differences


def test_differences_to_the_reference_are_the_engines(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = comparisons.against_reference(found).set_index(["fraction", "strategy"])
    assert len(table) == 2 * 5
    alone = compare(found.rows[0].images, "contracting", "whole network")
    row = table.loc[(80.0, "contracting")]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (alone.mean_difference, alone.low, alone.high), abs=1e-12
    )
    assert row["low"] > row["simultaneous_low"]
    assert row["loss"] == pytest.approx(-row["difference"])
    assert pd.isna(table.loc[(80.0, "from scratch"), "bound"])  # no fine-tuning, so no candidate


def test_shallow_and_deep_have_the_papers_own_test_beside_ours(read: Callable[[str], Findings]) -> None:
    found = read("three")
    table = comparisons.shallow_and_deep(found)
    assert list(table["first"].unique()) == ["contracting", "all except block 5"]
    tukey = comparisons.as_published(found).set_index(["fraction", "first", "second"])["p"]
    assert table["p_tukey"].tolist() == [tukey[tuple(row)] for row in table[["fraction", "first", "second"]].to_numpy()]
    assert table["p_holm"].notna().all()


def test_without_a_complete_cell_there_is_nothing_to_compare(read: Callable[[str], Findings]) -> None:
    assert not len(comparisons.against_reference(read("begun")))
    assert not len(comparisons.shallow_and_deep(read("begun")))
    assert not sheets.reference_sheet(read("begun")).parts


def test_a_sheet_has_as_many_entries_in_each_row_as_columns(read: Callable[[str], Findings]) -> None:
    for name in ("three", "two", "starts", "one"):
        found = read(name)
        for make in (
            sheets.table1, sheets.pretrained, sheets.other_measures, sheets.reference_sheet, sheets.shallow_sheet,
        ):  # fmt: skip
            sheet = make(found)
            assert {len(line) for _, lines in sheet.parts for line in lines} <= {len(sheet.columns)}
    assert [line[0] for line in sheets.pretrained(read("starts")).parts[0][1]] == ["natural", "ultrasound"]
    assert "learning rates" in sheets.other_measures(read("two")).columns
    assert "95 % interval" not in sheets.other_measures(read("two")).columns
    assert "95 % interval" in sheets.other_measures(read("three")).columns


# The methods


def test_the_methods_say_what_the_plan_says(read: Callable[[str], Findings]) -> None:
    text = text_of(read("three"))
    for sentence in (
        "They were shared out at random into five folds, by image (split seed 0).",
        "Three of them were each the test set once.",
        "The numbers of images were 54 for training, 14 for validation and 17 for testing (80 %)",
        "with 16 filters in its first block and a sigmoid",
        f"(doi:{CITATION.doi})",
        "The start weights were 1,000 made natural-like images.",
        "Random initial weights were used for from scratch.",
        "Six strategies were tried: whole network, contracting,",
        "in batches of 2 images and 27 batches per epoch whatever the fraction",
        "had not fallen for 20 epochs, and for 15 epochs at most",
        "The learning rate was 10⁻⁴.",
        "shifted by up to 5 % of their side, zoomed by up to 5 % and mirrored left and right",
        "Tables rest on 36 trainings.",
        "Two failed to converge (diverged): counted, and left out of means.",
        "Two collapsed",
        "between 588,400 (30 %) and all of the network's 1,940,817 parameters",
        "36 had not stopped by themselves after 15 epochs and were cut there, and are kept.",
        "within 0.01 Dice",
        "Made with WhichLayers 9.8.7, PyTorch 2.15.0, Ray 2.60.0, NumPy 2.4.6 and Python 3.11.7.",
        "The machine: made, 2 cores, 8 GB of memory.",
    ):
        assert sentence in text, sentence
    assert not re.search(r"\b(None|nan)\b|  |\.\.|\{|\}", text)


def test_numbers_in_the_methods_follow_the_plan_and_the_facts(read: Callable[[str], Findings]) -> None:
    found = read("three")
    other = replace(
        found,
        plan=found.plan.assign(patience=7, batch_size=4, width=64, shift=0.0, zoom=0.0, flip=False, split_by="group"),
        facts={**found.facts, "margin": 0.03, "data": {**found.facts["data"], "groups": 12, "images": 4321}},
    )
    text = text_of(other)
    for words_ in (
        "had not fallen for 7 epochs", "batches of 4 images", "with 64 filters", "were not augmented",
        "so that no group had images both in a test set and", "within 0.03 Dice", "The 4,321 images are of 12 groups",
    ):  # fmt: skip
        assert words_ in text, words_


def test_what_an_older_store_does_not_say_is_left_out(read: Callable[[str], Findings]) -> None:
    found = read("three")
    facts = {"data": {"name": "old"}, "start_weights": []}
    text = text_of(replace(found, facts=facts))
    assert text.startswith("The target images were old.")
    assert "Made with" not in text
    assert "The machine" not in text
    assert "The start weights were" not in text
    assert "numbers of images" not in text


def test_several_rates_and_starts_are_told_of(read: Callable[[str], Findings], folder: Path) -> None:
    assert read("two").rate == CHOSEN
    text = text_of(read("two"))
    assert "The learning rates 10⁻⁴ and 10⁻³ were tried, and one was chosen for each strategy" in text
    assert "Tables rest on 12 trainings, chosen from 24 with every learning rate." in text
    assert "With two folds there is no test and no interval" in text
    searched = replace(read("two"), text="rate_search: {low: 1e-5, high: 2e-3, draws: 6, search: optuna}")
    assert "Six learning rates between 10⁻⁵ and 2 × 10⁻³ were tried by Optuna's sampler" in text_of(searched)
    assert "The start weights were tested on the same folds as they are" in text_of(read("starts"))


def test_the_hash_of_the_test_sets_depends_on_who_is_in_them_and_on_nothing_else(
    read: Callable[[str], Findings], folder: Path
) -> None:
    found = read_findings(Store.at(folder / "r"), "three")
    before = hash_of_test_sets(found)
    assert hashes(found)["test sets"] == before
    assert set(hashes(found)) == {"images and masks", "start weights natural-like images", "test sets"}
    found.__dict__["images"] = found.images.sample(frac=1, random_state=0)
    assert hash_of_test_sets(found) == before
    found.__dict__["images"] = found.images[found.images["strategy"] == "contracting"]
    assert hash_of_test_sets(found) == before
    found.__dict__["images"] = found.images.assign(index=found.images["index"] + 1)
    assert hash_of_test_sets(found) != before
    assert hash_of_test_sets(read("begun")) == ""


# LaTeX


def tabular(text: str) -> list[list[str]]:
    """The entries of each row that is not one name over all columns."""
    body = re.search(r"\\begin\{tabular\}\{[rc]+\}(.*)\\end\{tabular\}", text, flags=re.S)
    assert body
    lines = re.sub(r"\\(top|mid|bottom)rule", "", body[1])
    rows = [row.strip() for row in re.split(r"(?<![a-z0-9}{k])\\\\\n| \\\\\n", lines)]
    return [re.split(r"(?<!\\)&", row) for row in rows if row and "multicolumn" not in row]


def test_the_table_for_a_paper_has_the_same_columns_in_every_row(read: Callable[[str], Findings]) -> None:
    found = read("three")
    text = latex_table(found, published_rows(found))
    rows = tabular(text)
    assert len(rows) == 3 + 2 + 2  # names, parameters, percent; ours; published
    assert {len(row) for row in rows} == {len(STRATEGIES) + 1}
    assert len(re.search(r"tabular\}\{([rc]+)\}", text)[1]) == len(STRATEGIES) + 1  # type: ignore[index]
    assert rows[1][0].strip() == "parameters"
    plain = re.sub(r"\\[{}]", "", text.replace("\\\\", ""))
    assert plain.count("{") == plain.count("}")
    for part in (r"\toprule", r"\bottomrule", r"\begin{table*}", r"\label{tab:three}", r"$^{\dagger}$",
                 r"$^{\ddagger}$",
                 "Width 16, 32 $\\times$ 32 pixels, three of five folds.", "Data: SUS (simulated).",
                 "Start weights: 1,000 made natural-like images.", CITATION.doi):  # fmt: skip
        assert part in text, part
    assert text.count(r"\textbf{") == 4  # one in each row
    assert not re.search(r"(?<!\\)[%#]", text[text.index(r"\begin{table*}") :])
    assert not re.search(r"[^\x00-\x7f]", text)


def test_what_latex_would_take_for_a_command_is_escaped(read: Callable[[str], Findings]) -> None:
    assert escape("a_b & 5 % of {x} #1 $ ~ ^ \\") == (
        r"a\_b \& 5 \% of \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    found = read("three")
    named = found.cells.replace({"strategy": {"contracting": "conv_1 & 50%"}})
    text = latex_table(replace(found, study="my_study", cells=named))
    assert r"\shortstack{conv\_1 \&\\50\%}" in text
    assert r"\label{tab:my-study}" in text
    assert {len(row) for row in tabular(text)} == {len(STRATEGIES) + 1}


def test_an_unfinished_table_compiles_as_well(read: Callable[[str], Findings]) -> None:
    rows = tabular(latex_table(read("begun")))
    assert {len(row) for row in rows} == {len(STRATEGIES) + 1}
    assert rows[3][1].strip() == "2/3"


@pytest.mark.slow
def test_the_table_compiles(read: Callable[[str], Findings], tmp_path: Path) -> None:
    compiler = next((name for name in ("tectonic", "pdflatex") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("neither tectonic nor pdflatex is installed")
    found = read("three")
    lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\usepackage[table]{xcolor}", r"\begin{document}"]
    (tmp_path / "t.tex").write_text("\n".join([*lines, latex_table(found, published_rows(found)), r"\end{document}"]))
    options = ["-interaction=nonstopmode", "-halt-on-error"] if compiler == "pdflatex" else []
    said = subprocess.run([compiler, *options, "t.tex"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout[-2000:]


# Tidy tables


def test_the_tidy_tables_hold_every_cell_fold_image_and_difference(read: Callable[[str], Findings]) -> None:
    found = read("three")
    tables = {name: pd.read_csv(io.StringIO(text)) for name, text in tidy_tables(found).items()}
    assert list(tables) == ["cells", "folds", "images", "differences"]
    assert len(tables["cells"]) == 3 * 2 * len(STRATEGIES)
    assert set(tables["cells"]["measure"]) == {"Dice", "IoU", "HD95"}
    assert len(tables["folds"]) == 3 * 3 * 2 * len(STRATEGIES)
    assert len(tables["images"]) == len(found.images)
    assert set(tables["differences"]["family"]) == {"reference", "shallow and deep"}
    by_fold = tables["folds"].query("measure == 'Dice' and fraction == 80 and strategy == 'contracting'")["value"]
    assert by_fold.mean() == pytest.approx(
        found.cells.set_index(["fraction", "strategy"]).loc[(80, "contracting"), "mean"]
    )


def test_the_tidy_tables_of_an_unfinished_study_tell_nothing_of_test_images(read: Callable[[str], Findings]) -> None:
    tables = {name: pd.read_csv(io.StringIO(text)) for name, text in tidy_tables(read("begun")).items()}
    assert tables["cells"]["mean"].isna().all()
    assert tables["folds"]["value"].isna().all()
    assert not len(tables["images"])
    assert not len(tables["differences"])


def test_the_archive_is_the_same_whenever_it_is_made(read: Callable[[str], Findings]) -> None:
    tables = tidy_tables(read("one"))
    assert zipped(tables) == zipped(tables)
    with zipfile.ZipFile(io.BytesIO(zipped(tables))) as archive:
        assert archive.namelist() == ["cells.csv", "folds.csv", "images.csv", "differences.csv"]
        assert archive.read("cells.csv").decode() == tables["cells"]


# Words and colours


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (words.number(13), "thirteen"),
        (words.number(1400), "1,400"),
        (words.counted(1, "fold"), "one fold"),
        (words.counted(12_345, "image", digits=True), "12,345 images"),
        (words.listed(["a"]), "a"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed(["blocks 1,2", "b", "c"]), "blocks 1,2; b; and c"),
        (words.power(1e-4), "10⁻⁴"),
        (words.power(3e-4), "3 × 10⁻⁴"),
        (words.power(0.01), "10⁻²"),
        (words.power(1.17e-4), "1.17 × 10⁻⁴"),
        (words.value(-0.0123, sign=True), "−0.012"),
        (words.value(0.0001, sign=True), "0.000"),
        (words.value(-0.0001, sign=True), "0.000"),
        (words.value(None), "–"),
        (words.interval(-0.01, 0.02), "[−0.010, +0.020]"),
        (words.interval(0.71, 0.82, sign=False), "[0.710, 0.820]"),
        (words.interval(None, 1.0), "–"),
        (words.probability(0.0002), "< 0.001"),
        (words.probability(0.0421), "0.042"),
        (words.short(0.00234), "0.0023"),
        (words.short(1234.0), "1,234"),
        (words.html_of("**a** <b>  \nc `d`"), "<b>a</b> &lt;b&gt;<br>c <code>d</code>"),
    ],
)
def test_numbers_and_lists_are_written_as_in_a_paper(said: str, shown: str) -> None:
    assert said == shown


def test_steps_of_colour_run_from_end_to_end() -> None:
    colours = step_colours(["#000000", "#ff0000", "#ffffff"], 5)
    assert colours == ["#000000", "#800000", "#ff0000", "#ff8080", "#ffffff"]
    assert [step(level) for level in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [0, 0, STEPS // 2, STEPS - 1, STEPS - 1]


# Where it is made


def test_nothing_is_built_before_a_button_is_pressed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "r"))
    monkeypatch.setattr(export, "read_findings", lambda *names, **more: read.append(str(names)))
    app = AppTest.from_string("from dashboard.views import export\nexport.buttons('one', 1e-4)", default_timeout=60)
    app.run()
    assert not app.exception
    assert read == []


def test_a_buttons_file_is_what_the_command_line_makes(folder: Path, read: Callable[[str], Findings]) -> None:
    def made(build: Callable[[Findings], str | bytes]) -> str | bytes:
        return export._later(str(folder / "r"), "one", 1e-4, build)()

    assert made(export._latex) == latex_table(read("one"), published_rows(read("one")))
    assert made(export._tables) == zipped(tidy_tables(read("one")))
    assert str(made(export._page)).startswith("<!doctype html>")


@pytest.mark.slow
def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    assert {f"dashboard/report/page.{kind}" for kind in ("html", "css", "js")} <= held
    assert importlib.metadata.version("whichlayers")
