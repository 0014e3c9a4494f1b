"""The map as a table and a figure: what a point says, colours, marks, turning, pictures and the region's confusion."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from dashboard.figures.embedding_map import (
    COLOUR_BY,
    FIXED,
    HEIGHT,
    RIGHT,
    UNTESTED,
    WRONG,
    about,
    confusion,
    confusion_table,
    embedding_map,
    looks,
    map_table,
    selection,
    spread,
    tile,
    turned,
    values,
)
from dashboard.figures.map_region import Region
from dashboard.figures.rows import rows
from engine.embeddings import EmbeddingMap

CLASSES = ["kidney", "liver", "spleen"]


def made(images: int = 12, seed: int = 0) -> EmbeddingMap:
    """Places on a ring; the first half trains, the second is tested; places in the data set count down."""
    angle = np.linspace(0, 2 * np.pi, images, endpoint=False)
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + np.arange(images)[:, None] / images)
    return EmbeddingMap(
        places=places.astype(np.float32),
        index=np.arange(images, dtype=np.int32)[::-1].copy(),
        part=np.where(np.arange(images) < images // 2, 0, 2).astype(np.uint8),
        method="t-SNE",
        seed=seed,
        perplexity=3.0,
        seconds=1.0,
    )


def frames(images: int = 12) -> pd.DataFrame:
    place = np.arange(images)
    return pd.DataFrame(
        {
            "image": [f"a/b_{one}.png" for one in place],
            "label": [CLASSES[one % 3] for one in place],
            "group": [f"study {one // 4}" for one in place],
            "scanner": ["A" if one % 2 else "" for one in place],
        }
    )


def answers_to_six() -> pd.DataFrame:
    """Answers to frames 0 to 5, of which 0 and 3 are wrong."""
    truth = [CLASSES[one % 3] for one in range(6)]
    said = ["spleen", *truth[1:3], "<liver>", *truth[4:]]
    right = [float(one == other) for one, other in zip(truth, said, strict=True)]
    return pd.DataFrame(
        {"index": range(6), "predicted": said, "accuracy": right, "probabilities": [np.array([0.1, 0.7, 0.2])] * 6}
    )


@pytest.fixture
def table() -> pd.DataFrame:
    return map_table(made(), frames(), answers_to_six())


def test_a_point_knows_its_frame_and_what_was_said_of_it(table: pd.DataFrame) -> None:
    last = table.iloc[-1]
    assert (last["index"], last["label"], last["predicted"], last["answer"], last["part"]) == (
        0, "kidney", "spleen", WRONG, "test",
    )  # fmt: skip
    assert last["probability"] == pytest.approx(0.7)
    assert table["answer"].value_counts().to_dict() == {UNTESTED: 6, RIGHT: 4, WRONG: 2}
    assert about(table) == "12 images: 4 right, 2 wrong, 6 not tested"


def test_an_answer_to_an_image_that_trained_is_not_shown_as_right_or_wrong() -> None:
    training = EmbeddingMap(**{**vars(made()), "part": np.zeros(12, np.uint8)})
    assert set(map_table(training, frames(), answers_to_six())["answer"]) == {UNTESTED}


def test_answers_without_probabilities_have_none(table: pd.DataFrame) -> None:
    answers = answers_to_six().assign(probabilities=[None] * 6)
    assert map_table(made(), frames(), answers)["probability"].isna().all()


@pytest.mark.parametrize("by", list(COLOUR_BY))
def test_every_point_is_drawn_once_whatever_the_colours_say(table: pd.DataFrame, by: str) -> None:
    figure = embedding_map(table, by, looks(values([table], by, CLASSES)), method="t-SNE")
    drawn = np.concatenate([trace.customdata for trace in figure.data])
    assert sorted(drawn) == list(range(12))
    assert {trace.type for trace in figure.data} == {"scattergl"}
    assert figure.layout.xaxis.title.text == "t-SNE 1 (no unit)"
    assert figure.layout.yaxis.scaleanchor == "x"


def test_classes_stand_in_the_studys_order_and_differ_by_colour_and_mark(table: pd.DataFrame) -> None:
    assert values([table], "class", ["spleen", "liver", "kidney"]) == ["spleen", "liver", "kidney"]
    assert values([table], "scanner", CLASSES) == ["A", "not named"]
    assert values([table], "right or wrong", CLASSES) == [RIGHT, WRONG, UNTESTED]
    eleven = looks([f"class {number}" for number in range(11)])
    assert len({look.colour for look in eleven.values()}) == 11
    assert len(set(eleven.values())) == 11
    neighbours = list(eleven.values())
    assert all(one.mark != other.mark for one, other in pairwise(neighbours))
    assert looks([WRONG])[WRONG] == FIXED[WRONG]


def test_hover_says_class_answer_and_where_and_escapes_names(table: pd.DataFrame) -> None:
    figure = embedding_map(table, "class", looks(CLASSES), method="t-SNE")
    texts = {
        int(place): text for trace in figure.data for place, text in zip(trace.customdata, trace.text, strict=True)
    }
    assert texts[3] == "<b>kidney</b><br>said <b>&lt;liver&gt;</b>, 70 %<br>b_3.png · study 0 · A · test"
    assert texts[1] == "<b>liver</b><br>said so, 70 %<br>b_1.png · study 0 · A · test"
    assert texts[11] == "<b>spleen</b><br>b_11.png · study 2 · A · training"


def test_what_is_chosen_makes_the_others_faint(table: pd.DataFrame) -> None:
    figure = embedding_map(table, "class", looks(CLASSES), method="t-SNE", chosen=[0, 3, 4])
    selected = {trace.name: [int(trace.customdata[place]) for place in trace.selectedpoints] for trace in figure.data}
    assert selected == {"kidney (4)": [3, 0], "liver (4)": [4], "spleen (4)": []}
    free = embedding_map(table, "class", looks(CLASSES), method="t-SNE", chosen=[99])
    assert all(trace.selectedpoints is None for trace in free.data)


def test_a_map_turned_onto_another_keeps_its_distances_and_finds_its_places(table: pd.DataFrame) -> None:
    angle = 2.0
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])
    places = table[["x", "y"]].to_numpy() @ turn
    other = table.assign(x=places[:, 0], y=places[:, 1])
    back = turned(other, table)
    np.testing.assert_allclose(back[["x", "y"]], table[["x", "y"]], atol=1e-6)
    few = turned(other.head(2), table)
    np.testing.assert_array_equal(few[["x", "y"]], other.head(2)[["x", "y"]])


def test_pictures_do_not_lie_on_each_other_and_have_the_colour_of_their_class() -> None:
    random = np.random.default_rng(0)
    found = EmbeddingMap(**{**vars(made(400)), "places": random.normal(0, 1, (400, 2)).astype(np.float32)})
    table = map_table(found, frames(400), answers_to_six())
    chosen = spread(table)
    assert 40 < len(chosen) < 226
    look = looks(CLASSES)
    figure = embedding_map(table, "class", look, method="t-SNE", pictures=dict.fromkeys(chosen, "data:,"))
    assert len(figure.layout.images) == len(figure.layout.shapes) == len(chosen)
    boxes = np.array([[shape.x0, shape.y0, shape.x1 - shape.x0] for shape in figure.layout.shapes])
    apart = np.abs(boxes[:, None, :2] - boxes[None, :, :2]).max(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > boxes[0, 2]
    by_place = table.set_index(table["x"].round(6))
    for image, border in zip(figure.layout.images, figure.layout.shapes, strict=True):
        assert border.line.color == look[by_place.loc[round(image.x, 6), "label"]].colour


def test_an_empty_map_says_so(table: pd.DataFrame) -> None:
    figure = embedding_map(table.head(0), "class", {}, method="t-SNE")
    assert "No image of this set" in figure.layout.annotations[0].text
    assert figure.layout.height == HEIGHT
    assert spread(table.head(0)) == []
    assert about(table.head(0)) == "0 images"


def test_frames_of_chosen_points_are_named_once() -> None:
    points = [{"customdata": [4]}, {"customdata": 7}, {"customdata": [4]}, {"x": 1.0}, {"customdata": None}]
    assert selection(points) == [4, 7]


def test_a_region_is_drawn_everywhere_but_where_it_was_chosen() -> None:
    first = Region().heard("left", (1, 2))
    assert (first.drawn_with("left"), first.drawn_with("right"), first.drawn_with("new")) == ((), (1, 2), (1, 2))
    other = first.heard("right", (7,))
    assert (other.drawn_with("left"), other.drawn_with("right")) == ((7,), (1, 2))
    again = other.heard("right", (8,))
    assert (again.drawn_with("left"), again.drawn_with("right")) == ((8,), (1, 2))


def test_only_the_chart_of_the_region_can_say_that_nothing_is_chosen() -> None:
    region = Region().heard("left", (1, 2)).heard("right", (7,))
    assert region.heard("left", ()) == region
    assert region.heard("right", ()).frames == ()
    cleared = region.clear()
    assert (cleared.frames, cleared.drawn_with("right"), cleared.cleared) == ((), (), 1)


def test_the_regions_confusion_counts_test_frames_only(table: pd.DataFrame) -> None:
    counts = confusion_table(table, [*CLASSES, "<liver>", "nowhere"])
    assert list(counts.index) == [*CLASSES, "<liver>"]
    assert counts.to_numpy().sum() == 6
    assert counts.loc["kidney", "spleen"] == 1
    figure = confusion(counts)
    assert figure.layout.xaxis.title.text == "said (frames)"
    drawn = np.array(figure.data[0].z, dtype=float)
    assert drawn[0, 2] == 0.5  # one of two kidneys is called spleen
    assert drawn[1, 1] == -1.0
    assert "None of these frames" in confusion(counts.iloc[:0, :0]).layout.annotations[0].text


def test_a_tile_says_what_was_said_and_escapes_names(table: pd.DataFrame) -> None:
    tiles = {row.index: tile(row) for row in rows(table)}
    assert "✗ 70 %" in tiles[3]
    assert "said &lt;liver&gt;" in tiles[3]
    assert "✓ 70 %" in tiles[1]
    assert "%" not in tiles[11].split("</div>")[0]
