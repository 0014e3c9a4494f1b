"""Agreement in a real browser: a click on a region's count opens its frames, and the address keeps it."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright import sync_api

from tests.browser.conftest import again_until, click_at
from tests.made_classification import made_classification
from tests.served import served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("agreement")
    made_classification(folder / "results", folder / "cache", patients=8, fractions=(75,))
    with served(folder / "results", folder / "cache") as url:
        yield url


def test_a_click_on_a_region_opens_its_frames(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}agreement?study=views")
    page.get_by_text("Right for nobody").wait_for()
    point = page.locator(".st-key-agreement .point").first
    point.wait_for(state="attached")
    everybody = "whole network, input layers and output layers"
    again_until(page.get_by_text(f"Right for {everybody} · "), lambda: click_at(point))
    page.locator(".st-key-agreement-images img").nth(5).wait_for()
    assert parse_qs(urlsplit(page.url).query)["region"] == [everybody]
    page.reload()
    page.get_by_text(f"Right for {everybody} · ").wait_for()


def test_an_address_with_several_readers_keeps_them_all(page: sync_api.Page, address: str) -> None:
    names = ["CVCNet · input layers · 75 %", "CVCNet · output layers · 75 %"]
    page.goto(f"{address}agreement?{urlencode({'study': 'views', 'readers': names}, doseq=True)}")
    chosen = page.locator(".stMultiSelect")
    for name in names:
        chosen.get_by_text(name, exact=True).wait_for()
    page.get_by_text("right for nobody").first.wait_for()
    assert parse_qs(urlsplit(page.url).query)["readers"] == names
