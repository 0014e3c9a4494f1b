"""The report as one HTML file that needs nothing else."""

import io
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright import sync_api

from dashboard.figures.u_shape import LEARNS
from dashboard.report import words
from dashboard.report.drawings import drawings
from dashboard.report.findings import Findings, read_findings
from dashboard.report.latex import latex_table
from dashboard.report.page import report_page, without_places
from dashboard.report.pictures import strips
from engine.errors import DataError
from engine.published import CITATION
from tests.browser.conftest import OPTIONS, chromium, watched
from tests.made_store import made_store
from tests.report.conftest import NOW, STRATEGIES


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
    assert sum(title.startswith("What adapting leaves of the old task, ") for title in titles) == 2
    stored = re.findall(r"<script type=\"application/json\">(.*?)</script>", page, flags=re.S)
    assert len(stored) == len(titles) == len(drawings(read("three")))
    for text in stored:
        figure = json.loads(text)
        assert figure["light"]["data"]
        assert figure["light"] != figure["dark"]


def test_every_figure_brings_its_numbers_and_says_n_and_interval(page: str, read: Callable[[str], Findings]) -> None:
    files = re.findall(r'download="(three-[a-z0-9-]+)\.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    made = drawings(read("three"))
    assert len({name for name, _ in files}) == len(files) == len(made)
    for drawing, (_, text) in zip(made, files, strict=True):
        assert list(pd.read_csv(io.BytesIO(b64decode(text)))) == list(drawing.table)
    pair = next(drawing for drawing in made if drawing.title == "Transfer or scratch")
    told = [text for trace in pair.light.data if trace.hovertext is not None for text in trace.hovertext]
    assert any(re.search(r"n = \d+ test images<br>95 % interval 0\.", text) for text in told)
    assert any(re.match(r"whole network, 80 %, fold 2<br>Dice 0\.\d+, n = \d+ test images", text) for text in told)


def test_numbers_and_pictures_are_a_few_percent_of_the_file(page: str) -> None:
    numbers = re.findall(r"base64,([^\"]+)", page.split("<script>")[0])
    assert sum(map(len, numbers)) < 0.05 * len(page)


def test_the_report_opens_in_the_colours_that_are_asked_for(page: str, read: Callable[[str], Findings]) -> None:
    box = '<input type="checkbox" id="safe" autocomplete="off"'
    assert f"{box}>" in page
    assert f"{box} checked>" in report_page(read("one"), now=NOW, colours="colour-blind safe")


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


def test_what_a_scheduler_left_out_is_told_in_the_page_and_below_the_table(folder: Path) -> None:
    caveat = "ASHA ends trials that are behind others"
    store = made_store(
        folder / "ended", folder / "c", images=25, image_size=32, folds=(0,), fractions=(80,),
        strategies=STRATEGIES[:2], facts={"search": {"scheduler": "asha", "caveats": [f"{caveat}."]}},
    )  # fmt: skip
    found = read_findings(store, "made")
    assert f"<b>Mind:</b> {caveat}." in report_page(found, now=NOW)
    assert f"{caveat}." in latex_table(found)


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
def test_a_figure_is_saved_as_svg_png_and_csv_offline(page: str, browser: sync_api.Browser, tmp_path: Path) -> None:
    file = tmp_path / "three-report.html"
    file.write_text(page, encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    wrong = watched(opened)
    opened.goto(file.as_uri())
    figure = opened.locator("figure", has_text="Transfer or scratch")
    figure.locator(".main-svg").first.wait_for()
    place = figure.locator(".save")
    opened.mouse.move(0, 0)
    assert place.evaluate("place => getComputedStyle(place).opacity") == "0"
    opened.keyboard.press("Tab")
    figure.get_by_role("button", name="Save as SVG").focus()
    assert place.evaluate("place => getComputedStyle(place).opacity") == "1"
    begins = {"svg": b"<svg", "png": b"\x89PNG", "csv": b"source,dataset"}
    for kind, begin in begins.items():
        with opened.expect_download() as saved:
            figure.locator(".save").get_by_text(kind.upper()).press("Enter")
        assert saved.value.suggested_filename == f"three-transfer-or-scratch.{kind}"
        assert Path(saved.value.path()).read_bytes().startswith(begin)
    opened.emulate_media(media="print")
    assert place.evaluate("place => getComputedStyle(place).display") == "none"
    assert wrong == []
    opened.close()


@pytest.mark.browser
def test_the_box_for_safe_colours_works_by_key_and_changes_figures_too(
    page: str, browser: sync_api.Browser, tmp_path: Path
) -> None:
    file = tmp_path / "three-report.html"
    file.write_text(page, encoding="utf-8")
    opened = browser.new_page()
    opened.goto(file.as_uri())
    green, orange = (LEARNS[name, False] for name in ("red-green", "colour-blind safe"))
    fills = "[...document.querySelectorAll('.drawing path')].map(path => path.style.fill)"

    def rgb(colour: str) -> str:
        return f"rgb({', '.join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))})"

    opened.locator(".drawing .main-svg").first.wait_for()
    assert rgb(green) in opened.evaluate(fills)
    opened.locator("#safe").focus()
    opened.keyboard.press("Space")
    opened.wait_for_function(f"{fills}.includes('{rgb(orange)}')")
    assert rgb(green) not in opened.evaluate(fills)
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
