"""Frames by agreement and confidence, and the bars of their most probable classes."""

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import mistakes
from dashboard.figures.mistakes_sheet import mistakes_sheet

CLASSES = ["A4C", "IVC", "PLAX", "PSAX"]


def row(reader: str, index: int, label: str, probabilities: list[float] | None, said: str = "") -> dict[str, Any]:
    values = None if probabilities is None else np.array(probabilities)
    predicted = said or CLASSES[int(np.argmax(probabilities or [0]))]
    return {
        "reader": reader, "index": index, "image": f"set/{index}.png", "group": f"p{index}", "scanner": "A",
        "label": label, "predicted": predicted, "accuracy": float(predicted == label), "probabilities": values,
    }  # fmt: skip


def answers() -> pd.DataFrame:
    """Two networks and a person on four frames, and a fifth that the person has not seen yet."""
    sure, unsure = [0.9, 0.05, 0.03, 0.02], [0.3, 0.28, 0.22, 0.2]
    return pd.DataFrame(
        [
            *(row("net", index, "A4C", sure) for index in range(3)),
            row("net", 3, "PSAX", sure),
            row("net", 4, "A4C", sure),
            *(row("other", index, "A4C", unsure) for index in (0, 1)),
            row("other", 2, "A4C", unsure[::-1]),
            row("other", 3, "PSAX", unsure),
            row("other", 4, "A4C", unsure),
            row("person", 0, "A4C", None, "A4C"),
            row("person", 1, "A4C", None, "IVC"),
            row("person", 2, "A4C", None, "A4C"),
            row("person", 3, "PSAX", None, "PLAX"),
        ]
    )


@pytest.mark.parametrize(
    ("right", "held"),
    [
        ((True, True, True), {"all right"}),
        ((False, False, False), {"any wrong", "all wrong"}),
        ((False, True, True), {"any wrong", "first wrong, others right"}),
        ((True, False, False), {"any wrong", "first right, others wrong"}),
        ((True, True, False), {"any wrong"}),
        ((False,), {"any wrong", "all wrong"}),
    ],
)
def test_what_readers_have_in_common_on_a_frame(right: tuple[bool, ...], held: set[str]) -> None:
    assert mistakes.agreement(right) == held


def test_only_frames_that_all_have_seen_are_compared() -> None:
    table = mistakes.said_table(answers(), ["person", "net", "other"])
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table["right"].tolist() == [
        (True, True, True), (False, True, True), (True, True, False), (False, False, False),
    ]  # fmt: skip
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.6, 0.6, 0.6])  # of the two networks
    assert np.isnan(table["sure"].iloc[0][0])
    assert mistakes.counts(table) == {
        "any wrong": 3, "all wrong": 1, "first wrong, others right": 1, "first right, others wrong": 0, "all right": 1,
    }  # fmt: skip
    assert len(mistakes.said_table(answers(), ["net"])) == 5
    assert not len(mistakes.said_table(answers(), []))


def test_frames_are_chosen_by_agreement_and_class_and_ordered_by_confidence() -> None:
    table = mistakes.said_table(answers(), ["net", "other"])
    table["confidence"] = [0.5, 0.7, 0.9, 0.6, np.nan]
    assert mistakes.chosen_table(table, "any wrong")["index"].tolist() == [2, 3]
    assert mistakes.chosen_table(table, "any wrong", ascending=True)["index"].tolist() == [3, 2]
    assert mistakes.chosen_table(table, "any wrong", labels=["PSAX"])["index"].tolist() == [3]
    assert mistakes.chosen_table(table, "all right")["index"].tolist() == [1, 0, 4]  # without confidence last


def test_the_true_class_is_there_even_where_it_is_not_probable() -> None:
    table = mistakes.top_table(np.array([0.5, 0.3, 0.15, 0.05]), CLASSES, "PSAX")
    assert table["class"].tolist() == ["A4C", "IVC", "PLAX", "PSAX"]
    assert table["true"].tolist() == [False, False, False, True]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert mistakes.top_table(np.array([0.5, 0.3, 0.15, 0.05]), CLASSES, "IVC")["class"].tolist() == CLASSES[:3]


def test_the_bar_of_the_true_class_is_dark_and_names_cannot_break_the_page() -> None:
    table = mistakes.top_table(np.array([0.5, 0.3, 0.2]), ["<b>", "IVC", "PLAX"], "IVC")
    page = mistakes.bars(table)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    dark = next(line for line in page.split("</div>") if "IVC" in line)
    assert "background:#1f2933" in dark
    assert "width:30.0%" in dark
    assert page.count("#1f2933") == 1


def test_a_tile_says_who_was_right_and_what_was_said_instead() -> None:
    table = mistakes.said_table(answers(), ["person", "net"])
    wrong = next(one for one in table.itertuples() if one.index == 1)
    page = mistakes.tile(wrong, ["person", "net"], CLASSES)
    assert ">✗</span>person" in page
    assert "says <b>IVC</b>" in page
    assert ">✓</span>net" in page
    named = mistakes.tile(wrong, ["person", "net · whole network · 75 %"], CLASSES)
    assert ">✓</span>net · whole network · 75&nbsp;%</div>" in named  # a name that is long goes on in the next line
    assert "1.png · p1 · A" in page
    assert page.count("width:90.0%") == 1  # the person has no bars


def test_the_file_has_what_each_reader_said_and_its_probabilities() -> None:
    table = mistakes.said_table(answers(), ["person", "net"])
    file = mistakes.for_file(table, ["person", "net"], CLASSES)
    assert list(file.columns) == [
        "index", "image", "group", "scanner", "label", "person: said", "net: said", *(f"net: {one}" for one in CLASSES),
    ]  # fmt: skip
    assert file["net: A4C"].iloc[0] == 0.9


def test_the_sheet_is_one_svg_with_an_image_and_bars_for_each_frame() -> None:
    table = mistakes.chosen_table(mistakes.said_table(answers(), ["person", "net"]), "any wrong")
    pictures = [np.full((20, 30, 3), 90, np.uint8)] * len(table)
    sheet = mistakes_sheet(table, pictures, ["person", "net"], CLASSES)
    root = ElementTree.fromstring(sheet)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f".//{space}image")) == len(table)
    bars = [bar for bar in root.findall(f".//{space}rect") if bar.get("x")]
    assert len(bars) == 3 * len(table) + sum(one == "PSAX" for one in table["label"])  # the true one below
    assert sum(bar.get("fill") == "#1f2933" for bar in bars) == len(table)
    assert "person: IVC" in sheet
