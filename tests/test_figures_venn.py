"""The Venn diagram: a count in every region, names, and what a click says."""

import pandas as pd
import pytest

from dashboard.figures import venn
from engine.significance import agreement_regions
from tests.made_answers import reader

NAMES = ("CaffeNet", "VGGNet", "radiologist")
A, B, C = NAMES


def regions(counts: dict[tuple[str, ...], int], names: tuple[str, ...] = NAMES) -> pd.DataFrame:
    """Regions with so many frames."""
    right = {name: [name in own for own, images in counts.items() for _ in range(images)] for name in names}
    return agreement_regions({name: reader(each) for name, each in right.items()})


FULL = {NAMES: 400, (A, B): 75, (A, C): 40, (B, C): 30, (A,): 35, (B,): 50, (C,): 40, (): 42}


def counted(figure: object) -> dict[str, int]:
    """Counts by region, from the markers' hover text."""
    trace = figure.data[-1]  # type: ignore[attr-defined]
    return {
        said[0]: int(text.split("<br>")[1].split(" ")[0].replace(",", ""))
        for said, text in zip(trace.customdata, trace.hovertext, strict=True)
    }


def test_every_region_has_its_count_and_can_be_clicked() -> None:
    table = regions(FULL)
    figure = venn.venn(table, NAMES)
    assert counted(figure) == dict(zip(table["region"], table["images"], strict=True))
    assert figure.data[-1].marker.color == "rgba(0,0,0,0)"
    written = [*figure.data[-1].text, *(each.text for each in figure.layout.annotations)]
    for images in FULL.values():
        assert [text for text in written if f"<b>{images}</b>" in text]
    assert "right for nobody: <b>42</b>" in written


def test_circles_are_told_apart_by_colour_and_line_and_the_legend_counts() -> None:
    figure = venn.venn(regions(FULL), NAMES)
    lines = [shape for shape in figure.layout.shapes if shape.type == "circle" and shape.line.width]
    assert len({(shape.line.color, shape.line.dash) for shape in lines}) == 3
    assert all(shape.opacity == 0.25 for shape in figure.layout.shapes if shape.type == "circle" and shape.fillcolor)
    assert figure.data[0].name == "CaffeNet: 550 right (77.2 %)"
    assert figure.data[0].line.dash == lines[0].line.dash
    assert figure.layout.yaxis.scaleanchor == "x"


def test_a_count_lies_in_its_region_or_has_a_line_to_it() -> None:
    figure = venn.venn(regions({**FULL, (B, C): 2}), NAMES)
    circles = [shape for shape in figure.layout.shapes if shape.type == "circle" and shape.line.width]
    leads = [(shape.x0, shape.y0) for shape in figure.layout.shapes if shape.type == "line"]
    trace = figure.data[-1]
    outside = 0
    for (region,), x, y, text in zip(trace.customdata, trace.x, trace.y, trace.text, strict=True):
        inside = [
            name
            for name, each in zip(NAMES, circles, strict=True)
            if ((x - (each.x0 + each.x1) / 2) ** 2 + (y - (each.y0 + each.y1) / 2) ** 2) ** 0.5
            < (each.x1 - each.x0) / 2
        ]
        if text:
            assert inside == [name for name in NAMES if name in region]
        else:
            assert inside == []
            outside += region != "nobody"
    assert outside == len(leads) == 1


def test_the_chosen_region_is_framed() -> None:
    table = regions(FULL)
    figure = venn.venn(table, NAMES, chosen=table["region"].iloc[0])
    assert sorted(figure.data[-1].marker.line.width)[-2:] == [0, 3]
    nobody = venn.venn(table, NAMES, chosen="nobody")
    assert max(nobody.data[-1].marker.line.width) == 0
    assert [each.text for each in nobody.layout.annotations if each.borderwidth] == ["right for nobody: <b>42</b>"]


def test_a_region_without_room_is_counted_below() -> None:
    table = regions({NAMES: 50, (A,): 1, (B,): 40, (C,): 1, (): 3})
    figure = venn.venn(table, NAMES)
    assert "right for radiologist only: <b>1</b>" in [each.text for each in figure.layout.annotations]
    assert "No room in circles for: radiologist only" in venn.note(table, NAMES)


@pytest.mark.parametrize(
    "counts", [{(): 5}, {(A,): 5}, {NAMES: 5}, {(A, B): 5, (): 1}, {(A,): 3, (B,): 2, (C,): 1}, {(A, C): 1, (A,): 999}]
)
def test_odd_counts_are_drawn_whole(counts: dict[tuple[str, ...], int]) -> None:
    found = counted(venn.venn(regions(counts), NAMES))
    assert sum(found.values()) == sum(counts.values())


def test_two_readers_and_one_have_circles_too() -> None:
    two = {(A, B): 5, (A,): 2, (B,): 1, (): 3}
    assert len(counted(venn.venn(regions(two, (A, B)), (A, B)))) == 4
    assert counted(venn.venn(regions({(A,): 2, (): 3}, (A,)), (A,))) == {A: 2, "nobody": 3}


def test_without_frames_or_with_too_many_readers_a_line_says_so() -> None:
    assert venn.venn(regions({}), NAMES).layout.annotations[0].text == "No frame that all these readers answered."
    four = (*NAMES, "fourth")
    text = venn.venn(regions(FULL, four), four).layout.annotations[0].text
    assert (
        text == venn.note(regions(FULL, four), four) == ("Circles show 3 readers at most; the table has every region.")
    )


def test_the_caption_and_the_table_say_how_far_areas_are_off() -> None:
    table = regions(FULL)
    found = venn.venn_table(table, NAMES)
    off = (found["achieved"] - found["wanted"]).abs().sum() / 2
    assert f"{100 * off:.1f} % of the circles' area lies in a region that should be smaller" in venn.note(table, NAMES)
    assert found["images"].tolist() == table["images"].tolist()
    assert found["wanted"].isna().tolist() == [False] * 7 + [True]
    assert "Right on no frame, so without a circle: radiologist." in venn.note(regions({(A, B): 4}), NAMES)
