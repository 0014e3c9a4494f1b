"""Figs. 3 and 4 by their numbers and structure, what their captions say of intervals, and the table of claims."""

import math

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import claims, depth, means, pairs, scratch
from engine import published
from tests.made_cells import NAN, made_cells, paper_cells, words_of

WHOLE, SCRATCH = scratch.PAIR


def test_figure_3_has_the_published_means_and_failed_folds() -> None:
    # Amiri et al. 2020, Table II and III-B: SUS 5 % 0.749 (0.046) against 0.670 (0.044), 2 of 5 folds failed.
    table = scratch.scratch_table(paper_cells())
    assert len(table) == 4 * 3 * 2
    sus = table[(table["dataset"] == "SUS, Amiri et al. 2020") & (table["fraction"] == 5)].set_index("strategy")
    assert (sus.loc[WHOLE, "mean"], sus.loc[SCRATCH, "mean"]) == (0.749, 0.670)
    assert (sus.loc[SCRATCH, "failed"], sus.loc[SCRATCH, "value_folds"]) == (2, 3)
    assert table.loc[table["strategy"] == WHOLE, "failed"].sum() == 0
    assert table.loc[table["strategy"] == SCRATCH, "failed"].sum() == 10


def test_a_published_mean_that_is_missing_breaks_the_line() -> None:
    # The text at hand has no mean of FUS 50 % from scratch.
    table = scratch.scratch_table(paper_cells("FUS"))
    line = scratch.scratch(table).data[-1]
    assert np.isnan(np.asarray(line.y, dtype=float)).tolist() == [False, True, False]
    assert "does not give this value" in line.hovertext[1]


def test_failed_folds_stand_in_a_strip_above_all_dots() -> None:
    figure = scratch.scratch(scratch.scratch_table(paper_cells("BUS")))
    failed = [note for note in figure.layout.annotations if note.text.endswith("failed")]
    by_place = {round(note.x): note.text.split(">")[1].split("<")[0] for note in failed}
    assert by_place == {0: "2 of 5", 1: "1 of 5", 2: "1 of 5"}
    tops = [trace.y + np.nan_to_num(trace.error_y.array) for trace in figure.data if trace.error_y.array is not None]
    assert min(note.y for note in failed) > max(np.max(top) for top in tops)


def test_failures_of_both_strategies_are_told_apart() -> None:
    cells = made_cells({(WHOLE, 5): (0.7, NAN), (SCRATCH, 5): (NAN, NAN)})
    table = scratch.scratch_table(cells)
    figure = scratch.scratch(table)
    note = next(note for note in figure.layout.annotations if note.text.endswith("failed"))
    assert ">1 of 2<" in note.text
    assert ">2 of 2<" in note.text
    assert note.x == 0  # between the two
    assert "no training converged" in figure.data[-1].hovertext[0]


def test_folds_of_a_pair_are_joined_fold_by_fold() -> None:
    cells = made_cells({(WHOLE, 80): (0.9, 0.8), (SCRATCH, 80): (0.7, 0.75)})
    lines = scratch.scratch(scratch.scratch_table(cells)).data[0]
    assert list(lines.y) == [0.9, 0.7, None, 0.8, 0.75, None]
    assert lines.x[0] == -lines.x[1] < 0


def test_ours_stands_beside_published_data_on_one_scale() -> None:
    cells = made_cells({(WHOLE, 80): (0.9, 0.8), (SCRATCH, 80): (0.7, 0.75)})
    figure = scratch.scratch(scratch.scratch_table(pd.concat([cells, paper_cells("SUS")], ignore_index=True)))
    words = words_of(figure)
    assert "<b>made images</b>" in words
    assert "<b>SUS</b><br>Amiri et al. 2020" in words
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    assert list(figure.layout.xaxis.ticktext) == ["5 %", "50 %", "80 %"]


def test_cells_that_are_not_complete_show_no_test_value() -> None:
    cells = made_cells({(WHOLE, 80): (0.9, 0.8), (SCRATCH, 80): (0.7, 0.75)})
    cells.loc[cells["strategy"] == WHOLE, "complete"] = False
    assert list(scratch.scratch_table(cells)["strategy"]) == [SCRATCH]
    nothing = scratch.scratch_table(cells.assign(complete=False))
    assert "Needs complete cells" in words_of(scratch.scratch(nothing))
    assert "Needs complete cells" in words_of(depth.depth(depth.depth_table(cells)))


def test_figure_4_has_both_schemes_with_the_shallower_first() -> None:
    # Amiri et al. 2020, Table II, BUS 5 %: contracting 0.625, expanding 0.517; all except block 5 0.666, block 5 0.469.
    table = depth.depth_table(paper_cells("BUS"))
    first = table[table["fraction"] == 5].set_index(["pair", "side"])["mean"]
    assert (first["scheme 1", 0], first["scheme 1", 1]) == (0.625, 0.517)
    assert (first["scheme 2", 0], first["scheme 2", 1]) == (0.666, 0.469)
    assert len(table) == 5 * 2 * 3


def test_a_pair_that_the_study_lacks_is_said_where_the_paper_has_it() -> None:
    ours = made_cells({("contracting", 80): (0.9, 0.8), ("expanding", 80): (0.7, 0.75)})
    alone = depth.depth(depth.depth_table(ours))
    assert words_of(alone).count("not in this study") == 0
    both = depth.depth(depth.depth_table(pd.concat([ours, paper_cells("SUS")], ignore_index=True)))
    assert words_of(both).count("not in this study") == 4


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ((0.8,), "One fold: no interval, because one value cannot say where the next would lie."),
        ((0.8, 0.9), "Two folds: no interval, because two values cannot say where the next would lie."),
        ((0.8, 0.9, 0.7), "Three folds: no interval, because too few test images or groups"),
    ],
)
def test_why_there_is_no_interval_is_said(folds: tuple[float, ...], words: str) -> None:
    assert words in pairs.spread_note(scratch.scratch_table(made_cells({(WHOLE, 80): folds})))


def test_intervals_are_whiskers_of_ours_and_standard_deviations_of_published_means() -> None:
    cells = made_cells({(WHOLE, 80): (0.8, 0.8, 0.8)}, low=0.75, high=0.83, interval="bootstrap over 40 images")
    table = scratch.scratch_table(cells)
    mean = scratch.scratch(table).data[-1]
    assert mean.error_y.array[0] == pytest.approx(0.03)
    assert mean.error_y.arrayminus[0] == pytest.approx(0.05)
    assert "95 % interval 0.750 to 0.830, bootstrap over 40 images" in mean.hovertext[0]
    assert "Three folds; 95 % intervals" in pairs.spread_note(table)
    theirs = scratch.scratch_table(paper_cells("SUS"))
    whole = next(trace for trace in scratch.scratch(theirs).data if trace.error_y.array is not None)
    assert whole.error_y.array[-1] == pytest.approx(0.056)
    assert means.interval_note(theirs) == ""
    two = scratch.scratch_table(made_cells({(WHOLE, 80): (0.8, 0.9)}))
    assert not scratch.scratch(two).data[-1].error_y.visible


def test_a_mean_says_over_how_many_folds_it_is() -> None:
    table = means.means_table(made_cells({(SCRATCH, 5): (0.8, NAN, 0.7)}))
    text = means.told(next(table.itertuples()), "Dice")
    assert "Dice 0.750, sd 0.071, over 2 folds" in text
    assert "1 of 3 trainings failed to converge, left out" in text


def test_a_mean_says_n_and_interval_where_they_are_known_and_a_fold_its_number() -> None:
    cells = made_cells(
        {(SCRATCH, 5): (0.8, NAN, 0.7)}, images=40.0, low=0.6, high=0.9, interval="bootstrap over 9 groups"
    )
    cells = cells.assign(fold_images=[[20, 0, 20]], fold_groups=[[5, 0, 0]])
    table = means.means_table(cells)
    text = means.told(next(table.itertuples()), "Dice")
    assert "over 2 folds, n = 40 test images<br>95 % interval 0.600 to 0.900, bootstrap over 9 groups" in text
    dots = means.fold_dots(table, [0.5], "Dice")
    assert list(dots["x"]) == [0.5] * 3
    assert list(dots["told"][::2]) == [
        "from scratch, 5 %, fold 0<br>Dice 0.800, n = 20 test images of 5 groups",
        "from scratch, 5 %, fold 2<br>Dice 0.700, n = 20 test images",
    ]


def test_published_means_and_those_of_two_folds_say_no_interval() -> None:
    table = means.means_table(paper_cells("BUS"))
    text = means.told(next(table.itertuples()), "Dice")
    assert "sd 0.028, over 5 folds" in text
    assert "n =" not in text
    assert "interval" not in text
    two = made_cells({(SCRATCH, 5): (0.8, 0.7)}, images=40.0, low=NAN, high=NAN, interval="")
    text = means.told(next(means.means_table(two).itertuples()), "Dice")
    assert "n = 40 test images" in text
    assert "interval" not in text


def test_long_names_of_data_sets_are_broken_into_lines() -> None:
    table = pd.DataFrame({"dataset": ["ellipses in speckle of one phantom · photographs", "SUS, Amiri et al. 2020"]})
    titles = pairs.dataset_titles(table)
    assert titles["ellipses in speckle of one phantom · photographs"] == (
        "<b>ellipses in speckle</b><br><b>of one phantom</b><br>photographs"
    )


def test_claims_without_a_study_are_the_papers_and_its_own_table() -> None:
    html = claims.claims(published.claims())
    assert html.count("<tr>") == 1 + 10
    assert "This study" not in html
    assert "contracting &gt; expanding (scheme 1)" in html
    assert html.count("cannot be told") == 2


def test_a_verdict_has_a_sign_its_reason_and_its_numbers_line_by_line() -> None:
    judged = published.claims().assign(ours="80 %: +0.01; 5 %: +0.02", verdict="cannot tell", why="<two> folds")
    html = claims.claims(judged)
    assert html.count("? cannot tell</span> &lt;two&gt; folds<small>80 %: +0.01</small><small>5 %: +0.02</small>") == 10
    assert set(claims.MARKS) == {"agrees", "disagrees", "cannot tell", "not in this study", "not claimed"}
    assert len({mark for mark, _ in claims.MARKS.values()}) == 4


def test_the_range_holds_with_a_single_value() -> None:
    table = scratch.scratch_table(made_cells({(WHOLE, 80): (0.9,)}))
    low, high = scratch.scratch(table).layout.yaxis.range
    assert low < 0.9 < high
    assert math.isfinite(low)
