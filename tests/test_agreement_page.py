"""Agreement as Streamlit runs it, and its rows: readers by short names, our regions, and the published ones."""

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.figures.agreement_rows import MISSING, frames_told, published_rows, region_rows, short_names
from engine.published import cheng2017
from engine.significance import agreement_regions
from tests.drawn_page import drawn_page, texts
from tests.made_classification import made_classification


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`views` is finished; `early` has no finished cell; `alone` has a single one."""
    folder = tmp_path_factory.mktemp("agreement")
    place = (folder / "results", folder / "cache")
    made_classification(*place, patients=8, fractions=(75,))
    made_classification(*place, study="early", patients=8, finished=lambda number, trial: number < 1)
    made_classification(*place, study="alone", patients=8, strategies=("whole network",), fractions=(75,),
                        as_pretrained=False)  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))


def run(study: str | None, **asked: str | list[str]) -> AppTest:
    return drawn_page("agreement", study, asked)


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (None, "No study yet"),
        ("early", "No answer yet"),
        ("alone", "Choose a second reader"),
    ],
)
def test_without_two_readers_the_page_says_what_is_missing(study: str | None, said: str) -> None:
    assert said in texts(run(study))


def test_three_networks_stand_in_circles_with_a_count_in_every_region_and_published_counts_below() -> None:
    test = run("views")
    ours, theirs = (table.value for table in test.dataframe)
    assert ours["right for"].iloc[0] == "whole network, input layers and output layers"
    assert len(ours) == 8
    assert ours["frames"].sum() == 112
    assert ours["part"].sum() == pytest.approx(100)
    assert list(theirs["frames"]) == ["799", *[MISSING] * 6, "123"]
    nobody = int(ours["frames"].iloc[-1])
    assert f"Right for nobody · {nobody} frame{'s' * (nobody != 1)}" in texts(test)
    assert "112 frames that all 3 readers answered." in texts(test)
    assert "% of the circles' area lies in a region" in texts(test)


def test_a_region_opens_its_frames_and_readers_can_be_chosen() -> None:
    readers = ["CVCNet · out of the box", "CVCNet · whole network · 75 %"]
    test = run("views", readers=readers)
    (ours, _) = (table.value for table in test.dataframe)
    assert list(ours["right for"]) == [
        "out of the box and whole network · 75 %", "out of the box only", "whole network · 75 % only", "nobody",
    ]  # fmt: skip
    box = next(box for box in test.selectbox if box.label == "Frames that are right for")
    box.set_value("out of the box only").run()
    assert not test.exception
    frames = int(ours["frames"].iloc[1])
    assert f"Right for out of the box only · {frames} frame" in texts(test)


def test_more_readers_than_circles_have_a_table() -> None:
    names = ["whole network", "input layers", "output layers", "from scratch"]
    told = texts(run("views", readers=[f"CVCNet · {name} · 75 %" for name in names]))
    assert "the table has every region" in told


def test_frames_that_left_the_cache_are_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "elsewhere"))
    assert "no longer in the cache" in texts(run("views"))


def test_names_lose_what_all_readers_share() -> None:
    assert short_names(["VGG16 · FC8 · 80 %", "VGG16 · FC6-8 · 80 %"]) == {
        "VGG16 · FC8 · 80 %": "FC8", "VGG16 · FC6-8 · 80 %": "FC6-8",
    }  # fmt: skip
    assert short_names(["VGG16 · FC8 · 80 %", "Ann"])["Ann"] == "Ann"
    assert short_names(["Ann"]) == {"Ann": "Ann"}
    alike = ["A · B", "A · B · C"]  # nothing would be left of the first
    assert short_names(alike) == {name: name for name in alike}


def answers(right: list[int]) -> pd.DataFrame:
    said = ["liver" if one else "spleen" for one in right]
    return pd.DataFrame({"index": range(len(right)), "group": "", "label": "liver", "predicted": said})


def test_rows_hold_counts_and_percent_of_the_common_frames() -> None:
    readers = {"net": answers([1, 1, 0, 0]), "Ann": answers([1, 0, 0])}
    regions = agreement_regions(readers)
    rows = region_rows(regions)
    assert list(rows["right for"]) == ["net and Ann", "net only", "Ann only", "nobody"]
    assert list(rows["frames"]) == [1, 1, 0, 1]
    assert rows["part"].iloc[0] == pytest.approx(100 / 3)
    assert frames_told(regions, {"net": 4, "Ann": 3}) == "3 frames that all 2 readers answered (net 4)."


def test_published_regions_that_are_not_given_stay_missing() -> None:
    rows = published_rows(cheng2017.regions(), cheng2017.TEST_IMAGES)
    assert rows.iloc[0].tolist() == ["CaffeNet, VGGNet and radiologist", "799", "56.1 %"]
    assert rows.iloc[1].tolist() == ["CaffeNet and VGGNet only", MISSING, ""]
    assert rows.iloc[-1].tolist() == ["nobody", "123", "8.6 %"]
