"""Accuracy, Confusion and Mistakes in a real browser; every test fails on a console error or an outside request."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright import sync_api

from engine.trial import Epoch, Trial
from tests.browser.conftest import again_until, click_at
from tests.made_classification import CLASSES, made_classification
from tests.made_store import made_progress, made_store
from tests.served import served

pytestmark = pytest.mark.browser

HIDDEN = """[...document.querySelectorAll('.st-key-confusion, .st-key-difference-confusion')].reduce(
  (most, box) => Math.max(most, box.scrollWidth - box.clientWidth), 0)"""
"""Pixels of a matrix that stand beyond its place on the page."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with a study of classes, which ran last, and one of masks."""
    folder = tmp_path_factory.mktemp("classes")
    places = folder / "results", folder / "cache"
    made_store(*places, study="masks", fractions=(80,), strategies=("whole network",), images=10)
    store = made_classification(*places, patients=8, strategies=("whole network", "input layers", "output layers"))
    store.write_progress("views", {**made_progress("finished", 28, 28), "updated": "2026-02-01T00:00:00+00:00"})
    with served(*places) as url:
        yield url


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A study of fixed iterations, without validation, whose curves are of test images."""
    folder = tmp_path_factory.mktemp("fixed")
    places = folder / "results", folder / "cache"
    small: dict[str, Any] = {"patients": 8, "strategies": ("whole network",), "fractions": (75,)}
    plain = made_classification(folder / "plain", places[1], **small).epochs("views")

    def tested(number: int, trial: Trial) -> dict[str, Any]:
        rows = plain[plain["id"] == trial.id].to_dict("records")
        return {
            "epochs": tuple(
                Epoch(
                    epoch=row["epoch"], training_loss=row["training_loss"], validation_loss=None, validation_dice=None,
                    seconds=1.0, test_accuracy=row["validation_accuracy"],
                )
                for row in rows
            )
        }  # fmt: skip

    made_classification(*places, changes=tested, **small)
    with served(*places) as url:
        yield url


def choices(page: sync_api.Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def links(page: sync_api.Page) -> list[str]:
    page.get_by_role("link", name="Curves").wait_for()
    return [text.strip() for text in page.locator("[data-testid='stSidebarNavLink']").all_inner_texts()]


def test_the_navigation_has_the_pages_of_the_studys_task_and_other_addresses_say_why_not(
    page: sync_api.Page, address: str
) -> None:
    page.goto(f"{address}?study=views")
    page.get_by_role("heading", name="Which layers should be fine-tuned for another scanner?").wait_for()
    names = " ".join(links(page))
    assert "Accuracy" in names
    assert "Confusion" in names
    assert "Masks" not in names
    page.goto(f"{address}masks?study=views")
    page.get_by_text("Masks is a page of studies whose network outlines structures").wait_for()
    page.goto(f"{address}confusion?study=masks")
    page.get_by_text("Confusion is a page of studies whose network tells classes of images apart").wait_for()
    names = " ".join(links(page))
    assert "Masks" in names
    assert "Accuracy" not in names


def test_accuracy_has_bars_beside_published_ones_and_its_choices_in_the_address(
    page: sync_api.Page, address: str
) -> None:
    page.goto(f"{address}accuracy?study=views")
    page.get_by_role("heading", name="Accuracy", exact=True).wait_for()
    bars = page.locator(".st-key-accuracy .barlayer .point path")
    bars.first.wait_for(state="attached")
    sync_api.expect(bars).to_have_count(10)  # known scanner, out of the box, three strategies; five published
    page.locator(".st-key-differences .scatterlayer .point").first.wait_for(state="attached")
    page.get_by_text("hidden", exact=True).click()
    sync_api.expect(bars).to_have_count(5)
    assert choices(page) == {"study": "views", "published": "hidden"}
    page.reload()
    bars.first.wait_for(state="attached")
    sync_api.expect(bars).to_have_count(5)


def test_a_click_on_a_cell_of_the_confusion_opens_its_frames_and_the_link_keeps_them(
    page: sync_api.Page, address: str
) -> None:
    page.goto(f"{address}confusion?study=views")
    squares = page.locator(".st-key-confusion .scatterlayer .point")
    squares.first.wait_for(state="attached")
    sync_api.expect(squares).to_have_count(len(CLASSES) ** 2)
    page.get_by_text("Simulated: shows the method, not evidence.").wait_for()
    square = squares.nth(CLASSES.index("IVC") * len(CLASSES) + CLASSES.index("IVC"))
    again_until(page.get_by_text("frames of IVC rightly called so"), lambda: click_at(square))
    page.locator(".st-key-confusion-images img").first.wait_for()
    assert choices(page) == {"study": "views", "truth": "IVC", "said": "IVC"}
    page.reload()
    page.get_by_text("frames of IVC rightly called so").wait_for()


def test_a_click_on_a_cell_of_the_difference_opens_the_frames_of_both_readers(
    page: sync_api.Page, address: str
) -> None:
    reader, other = "CVCNet · whole network · 75 %", "CVCNet · output layers · 75 %"
    page.goto(f"{address}confusion?{urlencode({'study': 'views', 'minus': other})}")
    chart = page.locator(".st-key-difference-confusion")
    squares = chart.locator(".scatterlayer .point")
    sync_api.expect(squares).to_have_count(len(CLASSES) ** 2)
    assert page.evaluate(HIDDEN) == 0
    texts = page.evaluate("document.querySelector('.st-key-difference-confusion .js-plotly-plot').data[0].text.flat()")
    place, shown = next((place, text) for place, text in enumerate(texts) if text.startswith("−"))
    label, said = CLASSES[place // len(CLASSES)], CLASSES[place % len(CLASSES)]
    told = page.get_by_text(f"frames of {label} that both answered, called {said}: ")
    again_until(told, lambda: click_at(squares.nth(place)))
    counts = [int(number) for number in re.findall(r"(\d+) by CVCNet", told.inner_text())]
    assert counts[0] - counts[1] == int(shown.replace("−", "-"))
    images = page.locator(".st-key-confusion-images img")
    images.first.wait_for()
    assert max(counts) <= images.count() <= sum(counts)
    for name in (reader, other):
        sync_api.expect(page.locator(f".st-key-confusion-images [title$='{name}']")).to_have_count(images.count())
    assert choices(page) == {"study": "views", "minus": other, "truth": label, "said": said}


def test_curves_of_a_study_without_validation_are_of_its_test_images(page: sync_api.Page, fixed: str) -> None:
    page.goto(f"{fixed}curves?study=views")
    page.get_by_role("heading", name="Curves", exact=True).wait_for()
    lines = page.locator(".st-key-curve-sheet .scatterlayer .js-line")
    lines.first.wait_for(state="attached")
    sync_api.expect(lines).to_have_count(2 * 4)  # training loss and test accuracy of four folds
    page.get_by_text("Dotted: the test images, which choose nothing.").wait_for()
    sync_api.expect(page.locator(".st-key-curve-sheet .ytitle, .st-key-curve-sheet .y2title")).to_have_count(2)
    sync_api.expect(page.locator(".st-key-curve-sheet .y2title")).to_contain_text("test accuracy")
    sync_api.expect(page.get_by_text("weights kept")).to_have_count(0)
    page.get_by_text("test accuracy", exact=True).first.click()
    sync_api.expect(lines).to_have_count(4)
    assert choices(page) == {"study": "views", "curves": "test accuracy"}


def test_mistakes_show_frames_with_bars_and_turn_pages(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}mistakes?study=views&agreement=all right")
    images = page.locator(".st-key-mistakes-images img")
    images.first.wait_for()
    sync_api.expect(images).to_have_count(24)
    page.get_by_text("1 to 24 of").wait_for()
    sync_api.expect(page.locator(".st-key-mistakes-images [title*='(true)']").nth(23)).to_be_attached()
    page.get_by_label("Page of").fill("2")
    page.keyboard.press("Enter")
    page.get_by_text("25 to 48 of").wait_for()
    assert choices(page) == {"study": "views", "agreement": "all right", "mistakes page": "2"}
    page.locator("[data-testid='stApp'][data-test-script-state='notRunning']").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="This page as a figure (SVG)").click()
    sheet = Path(download.value.path()).read_text()
    assert sheet.startswith("<svg")
    assert sheet.count("<image ") == 24


def test_on_a_narrow_dark_page_nothing_is_wider_than_the_page(
    open_page: Callable[..., sync_api.Page], address: str
) -> None:
    page = open_page(viewport={"width": 400, "height": 800}, color_scheme="dark")
    for name in ("accuracy", "confusion", "mistakes"):
        page.goto(f"{address}{name}?study=views")
        page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for()
        page.locator("[data-testid='stPlotlyChart'], .st-key-mistakes-images img").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
