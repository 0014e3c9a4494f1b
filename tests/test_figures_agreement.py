"""Ours against the published order: numbers of the figures, their looks, and the page that shows them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.figures import agreement
from engine.published import CITATION
from tests.made_cells import NAN, made_cells, paper_cells, words_of
from tests.made_store import made_store

FACTS = {"data": {"name": "BUS-UCLM", "compare_with": "BUS"}}
STAND_INS = {"BUS-UCLM": "BUS, Amiri et al. 2020"}
ORDER = ("whole network", "contracting", "expanding", "all except block 5", "block 5")
"""Of the paper's columns; BUS 80 %: 0.774, 0.767, 0.705, 0.785, 0.699 (Amiri et al. 2020, Table II)."""


def ours(means: dict[str, float], fraction: float = 80.0, folds: int = 5) -> pd.DataFrame:
    """Complete cells with these means, and folds that spread by 0.01 about them."""
    spread = np.linspace(-0.01, 0.01, folds) if folds > 1 else np.zeros(1)
    values = {(name, fraction): [mean + float(step) for step in spread] for name, mean in means.items()}
    return made_cells(values, dataset="BUS-UCLM")


SAME = dict(zip(ORDER, (0.80, 0.79, 0.70, 0.81, 0.69), strict=True))


def table(cells: pd.DataFrame, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """The order of `cells` against the published breast images, or against other cells."""
    return agreement.order_table(cells, paper_cells("BUS") if published is None else published, STAND_INS)


def test_rows_say_whose_place_they_take() -> None:
    assert agreement.stand_in(FACTS) == "BUS-UCLM, stands in for BUS"
    assert (
        agreement.stand_in({"data": {"name": "SUS", "compare_with": "SUS"}}) == "SUS of this study, stands in for SUS"
    )
    assert agreement.stand_in({"data": {"name": "mine", "compare_with": None}}) == ""
    assert agreement.stands_for(FACTS, ours(SAME)) == STAND_INS
    assert agreement.stands_for({"data": {"name": "mine"}}, ours(SAME)) == {}


def test_the_published_order_agrees_with_itself_within_its_ceiling() -> None:
    row = table(ours(SAME)).iloc[0]
    assert row["tau"] == pytest.approx(1.0)
    assert (row["common"], row["fraction"]) == (5, 80.0)
    assert row["low"] <= row["tau"] <= row["high"]
    assert row["ceiling_low"] < row["ceiling"] <= row["ceiling_high"] <= 1.0
    turned = {name: 1 - mean for name, mean in SAME.items()}
    assert table(ours(turned))["tau"].item() == pytest.approx(-1.0)


def test_a_row_without_a_published_one_and_cells_that_are_not_complete_are_no_part_of_it() -> None:
    assert not len(table(ours(SAME, fraction=20.0)))
    cells = ours(SAME)
    cells.loc[cells["strategy"] == "block 5", "complete"] = False
    assert table(cells)["common"].item() == 4


def test_the_figure_has_a_dot_with_its_interval_and_a_band_for_each_row() -> None:
    found = pd.concat([table(ours(SAME)), table(ours(SAME, fraction=5.0))])
    figure = agreement.order(found)
    dots = figure.data[0]
    assert list(dots.x) == list(found["tau"])
    assert list(dots.error_x.arrayminus) == pytest.approx(list(found["tau"] - found["low"]))
    bands = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(band.x0, band.x1) for band in bands] == list(zip(found["ceiling_low"], found["ceiling_high"], strict=True))
    assert figure.layout.yaxis.ticktext == ("BUS-UCLM, <b>80 %</b>", "BUS-UCLM, <b>5 %</b>")
    assert "τ" in figure.layout.xaxis.title.text
    assert "95 % interval" in dots.hovertext[0]
    assert "of 5" in words_of(figure)


def test_two_folds_have_an_order_and_no_interval_and_the_note_says_why() -> None:
    found = table(ours(SAME, folds=2))
    assert found["tau"].item() == pytest.approx(1.0)
    assert np.isnan(found["low"].item())
    figure = agreement.order(found)
    assert not figure.data[0].error_x.visible
    assert "2 folds: no interval" in agreement.order_note(found)
    assert "more cannot be expected" in agreement.order_note(found)


def test_an_order_of_too_few_strategies_is_an_empty_figure_that_says_why() -> None:
    found = table(ours({"whole network": 0.8, "block 5": 0.7}))
    assert "it takes 4" in words_of(agreement.order(found))
    assert agreement.NOTHING in words_of(agreement.order(found.iloc[:0]))


def test_ranks_count_from_the_highest_among_strategies_of_both() -> None:
    places = agreement.ranks_table(ours(SAME), paper_cells("BUS"), STAND_INS).set_index("strategy")
    known = places.dropna(subset=["rank_ours"])
    assert known["rank_ours"].to_dict() == known["rank_theirs"].to_dict()
    assert known["rank_ours"].to_dict() == {
        "all except block 5": 1, "whole network": 2, "contracting": 3, "expanding": 4, "block 5": 5,
    }  # fmt: skip
    assert set(known.index) == set(ORDER)


def test_ties_share_a_rank_and_have_places_of_their_own() -> None:
    # Amiri et al. 2020, Table II, FUS 5 %: whole network and blocks 3-7 0.955, contracting 0.954.
    cells = ours({"whole network": 0.9, "contracting": 0.8, "blocks 3-7": 0.7}, fraction=5.0)
    places = agreement.ranks_table(cells, paper_cells("FUS"), {"BUS-UCLM": "FUS, Amiri et al. 2020"})
    theirs = places.set_index("strategy")
    assert theirs.loc[["whole network", "blocks 3-7", "contracting"], "rank_theirs"].tolist() == [1.0, 1.0, 3.0]
    assert sorted(theirs["place_theirs"]) == [1.0, 2.0, 3.0]


def test_a_mean_that_is_missing_stays_missing() -> None:
    # The text at hand has no mean of block 5 on FUS 50 % (Amiri et al. 2020, Table II).
    cells = ours({**SAME, "blocks 1,2,8,9": NAN, "block 1": 0.5}, fraction=50.0)
    places = agreement.ranks_table(cells, paper_cells("FUS"), {"BUS-UCLM": "FUS, Amiri et al. 2020"})
    missing = places.set_index("strategy")["missing"]
    assert missing["block 5"] == "published"
    assert missing["blocks 1,2,8,9"] == "ours"
    assert places.set_index("strategy").loc[["block 5", "blocks 1,2,8,9"], "rank_ours"].isna().all()
    figure = agreement.ranks(places)
    assert "no published mean: expanding, block 5" in words_of(figure)
    assert not any("block 5" in text and "except" not in text for trace in figure.data for text in trace.text or ())


def test_what_moved_far_is_coloured_and_every_strategy_stands_on_both_sides() -> None:
    means = dict(zip(ORDER, (0.1, 0.79, 0.70, 0.81, 0.69), strict=True))  # the whole network falls from 2 to 5
    figure = agreement.ranks(agreement.ranks_table(ours(means), paper_cells("BUS"), STAND_INS), dark=True)
    near, far, left, right = figure.data
    assert (len(near.x), len(far.x)) == (4 * 3, 3)
    assert list(far.y[:2]) == [2, 5]
    assert far.line.color != near.line.color
    bold = [text for text in (*left.text, *right.text) if text.startswith("<b>")]
    assert len(bold) == 2
    assert all("whole network" in text for text in bold)
    assert len(left.text) == len(right.text) == 5


def test_each_row_of_table_2_has_its_panel_of_ranks() -> None:
    both = pd.concat([ours(SAME), ours(SAME, fraction=5.0)])
    places = agreement.ranks_table(both, paper_cells("BUS"), STAND_INS)
    narrow, wide = agreement.ranks(places, across=1), agreement.ranks(places)
    assert narrow.layout.height > wide.layout.height
    assert {"BUS-UCLM, 80 %", "BUS-UCLM, 5 %"} <= set(words_of(wide).replace("<b>", "</b>").split("</b>"))
    assert agreement.NOTHING in words_of(agreement.ranks(places.iloc[:0]))


def test_hardly_any_ranks_are_no_figure() -> None:
    places = agreement.ranks_table(ours({"whole network": 0.8}), paper_cells("BUS"), STAND_INS)
    assert agreement.NOTHING in words_of(agreement.ranks(places))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published page")
    made_store(folder / "results", folder / "cache", study="finished", images=25, image_size=32, folds=range(3))
    made_store(
        folder / "results", folder / "cache", study="begun", images=25, image_size=32,
        finished=lambda place, trial: place < 3,
    )  # fmt: skip
    return folder


def opened(study: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page *Published* as a script."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    app = AppTest.from_string("from dashboard.views import published\npublished.page()", default_timeout=60)
    app.session_state["current"] = study
    app.run()
    assert not app.exception
    return app


def test_the_page_works_without_a_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(None, folder, monkeypatch)
    assert CITATION.url in " ".join(text.value for text in app.markdown)
    assert [heading.value for heading in app.subheader][:3] == ["Table I", "Table II", "Table III"]
    assert app.dataframe[1].value.loc["SUS", "contracting"] == "0.823 in 1.53 (0.20) min"  # Amiri et al. 2020, III


def test_the_page_names_what_stands_in_and_why_there_is_no_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("finished", folder, monkeypatch)
    assert app.subheader[0].value == "SUS (simulated), stands in for SUS"
    assert "these are simulated images made here" in app.info[0].value
    assert any("more cannot be expected" in caption.value for caption in app.caption)


def test_a_study_that_has_hardly_begun_has_no_order_yet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened("begun", folder, monkeypatch).info[0].value.startswith(agreement.NOTHING)
