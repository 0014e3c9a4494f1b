"""Confusion figures: numbers of the tables, looks, and what a click says."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import confusion
from tests.made_answers import CLASSES, answers, random_reader

TRUTH = ["kidney"] * 4 + ["liver"] * 3 + ["spleen"] * 3
SAID = ["kidney", "kidney", "liver", "spleen", "liver", "liver", "kidney", "spleen", "spleen", "liver"]


def table(said: list[str] = SAID) -> pd.DataFrame:
    return confusion.confusion_table(answers(TRUTH, said), CLASSES)


def difference(reader: list[str] = SAID, network: list[str] = TRUTH) -> pd.DataFrame:
    return confusion.difference_table(answers(TRUTH, reader), answers(TRUTH, network), CLASSES)


def test_the_table_has_a_row_per_true_and_said_class() -> None:
    found = table()
    assert list(zip(found["label"], found["predicted"], strict=True)) == list(product(CLASSES, CLASSES))
    assert found["images"].tolist() == [2, 1, 1, 1, 2, 0, 0, 1, 2]
    assert found["of"].tolist() == [4] * 3 + [3] * 6
    assert found.groupby("label")["part"].sum().to_numpy() == pytest.approx(1)


def test_every_cell_can_be_clicked_and_says_its_classes() -> None:
    heatmap, squares = confusion.confusion(table()).data
    assert (heatmap.type, squares.type, squares.marker.color) == ("heatmap", "scatter", "rgba(0,0,0,0)")
    assert [list(each) for each in squares.customdata] == [list(each) for each in product(CLASSES, CLASSES)]
    at = {(x, y): tuple(said) for x, y, said in zip(squares.x, squares.y, squares.customdata, strict=True)}
    assert at[1, 0] == ("kidney", "liver")
    assert np.array(heatmap.z)[0, 1] == 0.25
    assert heatmap.text[0][1].startswith("1<br>")
    assert "25 %" in heatmap.text[0][1]
    assert heatmap.text[1][2] == ""
    assert "kidney" in squares.hovertext[1]
    assert "1 of 4 frames (25.0 %)" in squares.hovertext[1]


def test_colours_are_of_percent_or_of_counts() -> None:
    assert np.max(confusion.confusion(table(), normalised=False).data[0].z) == 1.0
    many = confusion.confusion_table(answers(TRUTH * 3, SAID * 3), CLASSES)
    assert confusion.confusion(many).data[0].z == pytest.approx(confusion.confusion(table()).data[0].z)


def test_chosen_cells_are_framed() -> None:
    plain = len(confusion.confusion(table()).layout.shapes)
    shapes = confusion.confusion(table(), chosen=[("kidney", "liver"), ("no", "class")]).layout.shapes
    assert len(shapes) == plain + 1
    assert (shapes[-1].x0 + shapes[-1].x1, shapes[-1].y0 + shapes[-1].y1) == (2, 0)


def test_names_of_many_classes_stand_upright() -> None:
    assert confusion.confusion(table()).layout.xaxis.tickangle == 0
    long = [f"{name} right longitudinal" for name in CLASSES]
    found = confusion.confusion_table(answers(long, long), long)
    figure = confusion.confusion(found)
    assert figure.layout.xaxis.tickangle == -90
    assert figure.layout.margin.t > 150
    assert confusion.narrowest(long) > 150 + 3 * 40


def test_a_seed_more_gives_broken_counts_with_one_digit() -> None:
    seeds = pd.concat([answers(TRUTH, SAID, folds=3, seed=0), answers(TRUTH, TRUTH, folds=3, seed=1)])
    figure = confusion.confusion(confusion.confusion_table(seeds, CLASSES))
    assert figure.data[0].text[0][1].startswith("0.5<br>")


def test_nothing_says_so() -> None:
    figure = confusion.confusion(confusion.confusion_table(answers([], []), CLASSES))
    assert not figure.data
    assert figure.layout.annotations[0].text == "No frame that was answered."
    apart = confusion.difference_table(answers(TRUTH, SAID)[:3], answers(TRUTH, SAID)[5:], CLASSES)
    assert confusion.difference(apart).layout.annotations[0].text == "No frame that both answered."
    assert confusion.note(confusion.confusion_table(answers([], []), CLASSES)) == ""


def test_the_difference_has_no_diagonal_and_two_colours_around_zero() -> None:
    found = difference()
    assert found.loc[found["label"] == found["predicted"], "excess"].isna().all()
    figure = confusion.difference(found, reader="Ada", network="VGG16")
    heatmap, squares = figure.data
    assert heatmap.zmin == -heatmap.zmax
    assert heatmap.colorscale[1][0] == 0.5
    assert heatmap.text[0][1] == "+1"
    assert heatmap.text[0][0] == heatmap.text[1][2] == ""
    assert "1 more of Ada" in squares.hovertext[1]
    assert "right answers are left out" in squares.hovertext[0]
    framed = confusion.difference(found, chosen=[("liver", "kidney")], without=[("kidney", "liver")]).layout.shapes
    assert [(shape.line.dash, round(shape.x0), round(shape.y0)) for shape in framed] == [("dot", 1, 0), ("solid", 0, 1)]
    turned = confusion.difference(difference(TRUTH, SAID), reader="Ada", network="VGG16").data
    assert turned[0].text[0][1] == "−1"
    assert "1 more of VGG16" in turned[1].hovertext[1]


def test_captions_say_the_accuracy_and_what_the_excess_costs() -> None:
    assert "6 of 10 frames are right (60.0 %)" in confusion.note(table())
    assert "on the 10 frames that both answered" in confusion.difference_note(difference(), "Ada", "VGG16")
    one, other = answers(TRUTH, SAID), answers(TRUTH, TRUTH)
    found = confusion.without_excess(one, other, CLASSES, [("kidney", "liver"), ("spleen", "liver")])
    assert confusion.excess_note(found, "Ada", "VGG16") == (
        "Ada has 60.0 % right. Without the 2 errors that it makes more than VGG16 in these 2 cells it would be 80.0 %."
    )
    single = confusion.excess_note(confusion.without_excess(one, other, CLASSES, [("spleen", "liver")]), "Ada", "VGG16")
    assert "Without the error that it makes more than VGG16 in this cell it would be" in single


def test_names_from_data_are_no_markup() -> None:
    odd = ["<b>liver</b>", "kidney"]
    figure = confusion.confusion(confusion.confusion_table(answers(odd, odd), odd))
    shown = [*figure.layout.xaxis.ticktext, *figure.layout.yaxis.ticktext, *figure.data[1].hovertext]
    assert not [each for each in shown if "<b>liver</b>" in each and "&lt;b&gt;" not in each]


@pytest.mark.parametrize("dark", [False, True])
def test_both_pages_have_their_colours(dark: bool) -> None:
    found = confusion.confusion_table(random_reader(0.7), CLASSES)
    figure = confusion.confusion(found, dark=dark)
    assert figure.layout.font.color == ("#e6eaee" if dark else "#1f2933")
