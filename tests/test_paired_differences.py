"""Every strategy against the reference, on Comparisons: the figure, the family of its tests, Tukey's as published."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.differences import Differences, differences, tukey
from dashboard.figures.paired import paired
from engine.store import Lease, Store
from tests.made_store import made_progress, made_store

APP = Path(__file__).parents[1] / "dashboard" / "app.py"
RATE = 1e-4


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three strategies on two parts of the images, in the store that pages read."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    return made_store(
        tmp_path / "results", tmp_path / "cache", strategies=("whole network", "contracting", "from scratch"),
        fractions=(80, 5), folds=(0, 1, 2),
    )  # fmt: skip


@pytest.fixture
def found(store: Store) -> Differences:
    return differences("made", RATE)


def test_every_strategy_stands_against_the_reference_in_every_row(found: Differences) -> None:
    assert found.reference == "whole network"
    places = [tuple(row) for row in found.against[["fraction", "strategy"]].to_numpy()]
    assert places == [(fraction, name) for fraction in (80, 5) for name in ("contracting", "from scratch")]
    assert "4 comparisons" in found.family
    assert "Holm" in found.family
    assert differences("made", RATE) is found


def test_tukeys_test_is_within_rows_and_within_strategies(store: Store) -> None:
    found = tukey("made", RATE)
    assert len(found.strategies) == 2 * 3
    assert len(found.fractions) == 3


def test_the_figure_has_a_dot_per_strategy_best_first_and_the_margin(found: Differences) -> None:
    own = found.against[found.against["fraction"] == 80].assign(difference=[-0.2, 0.1], within_margin=[True, False])
    figure = paired(own, reference="whole network", margin=0.05)
    dots = next(trace for trace in figure.data if trace.name == "difference")
    assert list(dots.x) == [0.1, -0.2]
    assert list(figure.layout.yaxis.ticktext) == ["from scratch", "contracting"]
    assert [shape.x0 for shape in figure.layout.shapes] == [0, -0.05]
    assert [trace.name for trace in figure.data] == ["simultaneous_low", "low", "difference"]
    beside = [note.text for note in figure.layout.annotations if note.xshift == 10][:2]
    assert [text.startswith("≈ ") for text in beside] == [False, True]
    assert "<b>from scratch</b> minus whole network" in dots.hovertext[0]
    assert "test images, 3 folds" in dots.hovertext[0]


def test_the_smallest_loss_that_could_be_seen_stands_beside_each_dot(found: Differences) -> None:
    own = found.against[found.against["fraction"] == 80].assign(
        difference=[0.1, -0.2], smallest_difference=[0.061, 1.4]
    )
    figure = paired(own, reference="whole network", margin=0.05)
    assert [note.text for note in figure.layout.annotations if note.xshift == 130][:2] == ["0.061", "none"]
    dots = next(trace for trace in figure.data if trace.name == "difference")
    assert "could have seen a loss of 0.061 (80 % power)" in dots.hovertext[0]
    assert "could have seen no loss at all" in dots.hovertext[1]


def test_without_intervals_dots_alone_are_drawn(found: Differences) -> None:
    names = ["low", "high", "simultaneous_low", "simultaneous_high", "bound", "smallest_difference", "p_holm"]
    figure = paired(
        found.against.head(2).assign(**dict.fromkeys(names, np.nan)), reference="whole network", margin=0.01
    )
    assert [len(trace.x) for trace in figure.data] == [0, 0, 2]
    assert "interval" not in "".join(figure.data[2].hovertext)
    assert not paired(found.against.head(0), reference="x", margin=0.01).data


def page_of(study: str) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.query_params["study"] = study
    page.query_params["open"] = "comparisons"
    page.run()
    assert not page.exception, page.exception
    assert not page.error, page.error
    return page


def words(page: AppTest) -> str:
    return "\n".join(str(one.value) for one in (*page.caption, *page.info, *page.subheader, *page.markdown))


def test_the_page_says_which_tests_are_one_family_and_what_tukey_ignores(store: Store) -> None:
    page = page_of("made")
    said = words(page)
    assert "Paired differences" in said
    assert "every strategy against whole network: 4 comparisons" in said
    assert "not a proof of equality" in said
    assert "folds share training images" in page.expander[-1].label
    assert not page.dataframe  # integrals for those who look
    page.session_state["tukey"] = True
    page.run()
    assert [table.value.shape[0] for table in page.dataframe] == [6, 3]
    (row,) = [box for box in page.selectbox if box.label == "Row of Table II"]
    row.select(row.options[1]).run()
    assert not page.exception, page.exception


def test_a_study_that_runs_is_not_compared_and_one_without_the_reference_says_so(store: Store, tmp_path: Path) -> None:
    store.write_progress("made", made_progress("running", 18, 17))
    with Lease(store.files, "made"):
        said = words(page_of("made"))
    assert "Differences are computed when the run is over." in said
    assert "comparisons" not in said
    only = made_store(tmp_path / "results", tmp_path / "cache", study="only", strategies=("block 9",), fractions=(80,))
    assert "Needs the reference and another strategy" in words(page_of("only"))
    assert only.studies() == ["made", "only"]
