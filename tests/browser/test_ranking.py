"""Units ranked from the page before any search: start weights are made, gradients measured, the table appears."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright import sync_api

from engine.architectures import UNET_UNITS
from tests.browser.conftest import again_until, click_at
from tests.browser.test_search_pages import button, quiet, write
from tests.served import served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILE = """\
name: ranked
data: {kind: simulated, images: 20}
model: {width: 2, image_size: 32}
start_weights: {images: 40, batches: 4}
strategies: [contracting, block 9]
fractions: [80]
"""
HEADS = ["rank", "unit", "parameters", "relative norm", "of largest"]
expect = sync_api.expect


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("ranking")
    with served(folder / "results", folder) as url:
        yield url


def test_the_button_ranks_every_unit_and_a_changed_file_takes_the_ranking_away(
    page: sync_api.Page, address: str
) -> None:
    page.goto(f"{address}launch")
    write(page, FILE)
    page.get_by_text("'ranked': no mistake in the file.").wait_for()
    quiet(page)
    button(page, "Rank the units").click()
    said = page.get_by_text("80 % of the images, mean of")
    said.wait_for(timeout=180_000)
    quiet(page)
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_have_count(1)
    table.scroll_into_view_if_needed()
    # The grid is a canvas; what a screen reader is told of it stands inside.
    expect(table.locator("canvas th")).to_have_text(HEADS)
    expect(table.locator("canvas tbody tr")).to_have_count(len(UNET_UNITS))
    ranks, units = (
        [row.locator("td").nth(place).text_content() for row in table.locator("canvas tbody tr").all()]
        for place in (0, 1)
    )
    assert ranks == [str(rank) for rank in range(1, len(UNET_UNITS) + 1)]
    assert set(units) == set(UNET_UNITS)
    write(page, FILE.replace("80", "50"))
    expect(said).to_have_count(0)


def test_a_click_on_a_unit_of_the_drawing_chooses_it_and_another_lets_it_go(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}launch")
    page.get_by_text("Choose units on the network").click()
    place = page.get_by_test_id("stExpander").filter(has_text="Choose units on the network")
    none = place.get_by_text("Nothing chosen yet")
    none.wait_for()
    units = place.locator(".js-plotly-plot .trace").last.locator(".point")
    for unit, said in (("9", "block 9"), ("8", "blocks 8,9"), ("9", "block 8")):
        expect(units).to_have_count(len(UNET_UNITS))
        quiet(page)
        point = units.nth(UNET_UNITS.index(unit))
        again_until(place.get_by_role("button", name=f"Add '{said}'"), partial(click_at, point))
    place.get_by_role("button", name="8", exact=True).click()  # as from the keyboard
    none.wait_for()
