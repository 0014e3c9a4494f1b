"""Masks on pages: outlines of one and of several structures, galleries, one image under strategies, three stages."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from dashboard.figures import gallery, mask_rows, pretrained, structures
from dashboard.figures.palette import PREDICTION, TRUTH
from engine.trial import AS_PRETRAINED

SIDE = 32


def square(top: int, left: int, size: int = 8, side: int = SIDE) -> np.ndarray:
    mask = np.zeros((1, side, side), bool)
    mask[0, top : top + size, left : left + size] = True
    return mask


def trials(**changes: Any) -> pd.DataFrame:
    """Two strategies at two fractions in two folds; `changes` are columns."""
    rows = [
        {"id": f"{strategy[0]}{fraction:g}{fold}", "number": 1.0, "strategy": strategy, "fraction": fraction,
         "fold": fold, "seed": 0, "state": "completed", "closed": True, "start": "fruit", "network": ""}
        for fraction in (80.0, 5.0) for strategy in ("whole network", "block 9") for fold in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changes)


def images_of(trials: pd.DataFrame, dice: dict[str, float] | None = None) -> pd.DataFrame:
    """Three test images per fold: their Dice falls from 0.9 by 0.1, less what `dice` takes from a trial's."""
    rows = [
        {"id": trial["id"], "number": 1, "image": f"head {3 * trial['fold'] + place}.png",
         "index": 3 * trial["fold"] + place, "group": "", "dice": 0.9 - 0.1 * place - (dice or {}).get(trial["id"], 0),
         "empty_truth": False, "predicted_pixels": 50, "hd95": 2.0, "class_dice": [],
         "predicted_mask": np.packbits(square(4, place)).tobytes()}
        for trial in trials.to_dict("records") for place in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


# Outlines


@given(draw.integers(1, 4), draw.integers(1, 12))
def test_packed_masks_of_any_number_of_structures_come_back(classes: int, quarter: int) -> None:
    side = 4 * quarter  # bits fill whole bytes, as at every size of the network
    masks = np.random.default_rng(side).random((classes, side, side)) < 0.5
    np.testing.assert_array_equal(structures.unpacked(np.packbits(masks).tobytes(), side), masks)


def test_numbers_become_a_mask_per_structure() -> None:
    numbers = np.array([[0, 1], [2, 2]], np.uint8)
    first, second, third = structures.one_each(numbers, 3)
    assert (first.sum(), second.sum(), third.sum()) == (1, 2, 0)


def has_colour(drawn: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(drawn.astype(int) - colour).max(axis=-1) < 40).any())


def test_one_structure_is_yellow_in_truth_and_cyan_in_prediction() -> None:
    drawn = structures.tile(np.zeros((SIDE, SIDE), np.uint8), square(2, 2), square(20, 20), aspect=1.5, longest=300)
    assert drawn.shape == (200, 300, 3)
    assert has_colour(drawn[:100], TRUTH)
    assert not has_colour(drawn[:100], PREDICTION)
    assert has_colour(drawn[100:], PREDICTION)


def test_several_structures_have_a_colour_each_and_the_truth_in_dashes() -> None:
    masks = np.concatenate([square(2, 2, 12), square(18, 18, 12)])
    blank = np.zeros((SIDE, SIDE), np.uint8)
    solid, dashed = structures.tile(blank, None, masks), structures.tile(blank, masks)
    for drawn in (solid, dashed):
        assert has_colour(drawn[:220, :220], structures.COLOURS[0])
        assert has_colour(drawn[220:, 220:], structures.COLOURS[1])
    drawn_pixels = [int((drawn.max(axis=-1) > 60).sum()) for drawn in (solid, dashed)]
    assert 0.35 < drawn_pixels[1] / drawn_pixels[0] < 0.75


def test_a_zoomed_tile_shows_only_its_box() -> None:
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[16:, 16:] = 200
    drawn = structures.tile(image, square(20, 20, 4), box=(18, 30, 18, 30), longest=120)
    assert drawn.shape == (120, 120, 3)
    assert np.median(drawn) == 200


@given(draw.integers(0, 24), draw.integers(0, 24), draw.integers(1, 8))
def test_the_box_is_a_square_within_the_frame_that_holds_the_masks(top: int, left: int, size: int) -> None:
    first, last, begin, end = structures.box_around([square(top, left, size), square(10, 12, 2)])
    assert last - first == end - begin
    assert (first >= 0, last <= SIDE, begin >= 0, end <= SIDE) == (True,) * 4
    assert first <= min(top, 10)
    assert last >= max(top + size, 12)
    assert begin <= min(left, 12)
    assert end >= max(left + size, 14)


def test_without_any_mask_the_box_is_the_frame() -> None:
    assert structures.box_around([np.zeros((2, SIDE, SIDE), bool)]) == (0, SIDE, 0, SIDE)


def test_the_key_names_structures_where_there_are_several() -> None:
    assert "truth" in structures.key(["mask"])
    assert "nerve" in structures.key(["nerve", "vessel"])
    assert "dashed" in structures.key(["nerve", "vessel"])


# Gallery


def test_only_cells_whose_folds_are_all_closed_show_test_images() -> None:
    table = trials()
    table.loc[table["id"] == "b51", "closed"] = False
    found = gallery.finished(table)
    assert len(found) == 6
    assert not ((found["fraction"] == 5) & (found["strategy"] == "block 9")).any()


def test_strategies_name_start_weights_and_networks_where_there_are_several() -> None:
    table = pd.concat([trials(), trials(start="noise"), trials(strategy=AS_PRETRAINED)])
    assert set(gallery.named(table)["strategy"]) == {
        "whole network · fruit", "whole network · noise", "block 9 · fruit", "block 9 · noise",
    }  # fmt: skip
    assert set(gallery.named(trials(network="unet, width 8"))["strategy"]) == {
        "whole network · unet, width 8", "block 9 · unet, width 8",
    }  # fmt: skip
    assert set(gallery.named(trials())["strategy"]) == {"whole network", "block 9"}


def test_the_gallery_begins_with_the_worst_or_the_best_image() -> None:
    images = gallery.tested(images_of(trials()), trials())
    own = images[(images["strategy"] == "block 9") & (images["fraction"] == 80)]
    assert list(gallery.gallery_table(own, "worst first")["image"][:2]) == ["head 2.png", "head 5.png"]
    assert list(gallery.gallery_table(own, "best first")["image"][:2]) == ["head 0.png", "head 3.png"]
    assert list(gallery.gallery_table(own, "by name")["image"]) == [f"head {number}.png" for number in range(6)]


def test_normal_images_are_in_no_order_by_dice() -> None:
    images = gallery.tested(images_of(trials().head(1)), trials())
    images["empty_truth"] = [True, False, True]
    images["predicted_pixels"] = [3, 50, 70]
    assert gallery.orders(images) == list(gallery.ORDERS)
    assert list(gallery.gallery_table(images, "worst first")["image"]) == ["head 1.png"]
    assert list(gallery.gallery_table(images, "normal images")["image"]) == ["head 2.png", "head 0.png"]
    assert len(gallery.gallery_table(images, "by name")) == 3
    assert gallery.summary(images) == (
        "mean Dice 0.800 (median 0.800) over 1 image in 1 fold · 2 normal images, false positives on 2"
    )
    assert gallery.orders(images.assign(empty_truth=True)) == ["by name", "normal images"]
    assert gallery.orders(images.assign(empty_truth=False)) == ["worst first", "best first", "by name"]


def test_the_mean_of_a_gallery_is_over_folds_as_in_table_2() -> None:
    own = trials().iloc[:2]
    images = gallery.tested(images_of(own, {"w801": 0.3}), own).iloc[:5]  # fold 0: 0.8; fold 1, two images: 0.55
    assert gallery.summary(images).startswith("mean Dice 0.675 (median 0.700) over 5 images in 2 folds")


def test_a_caption_tells_dice_of_each_structure_distance_and_failed_trainings() -> None:
    row = gallery.tested(images_of(trials().head(1)), trials()).iloc[0]
    assert gallery.caption(row) == "**Dice 0.90**  \nhead 0.png · fold 0"
    assert gallery.caption(row, unit="mm").startswith("**Dice 0.90** · HD95 2.0\u00a0mm")
    several = {**row.to_dict(), "class_dice": [0.8, None], "group": "p1", "state": "not_converged"}
    told = gallery.caption(several, structures=("nerve", "vessel"), seeds=True)
    assert told == "**Dice 0.90** (nerve 0.80) · training failed  \nhead 0.png · p1 · fold 0, seed 0"
    assert gallery.caption({**several, "empty_truth": True}).startswith("**normal**, 50 pixels predicted")


# One image under several strategies


def test_the_first_image_shown_has_the_references_median_dice() -> None:
    images = gallery.tested(images_of(trials()), trials())
    table = mask_rows.images_table(images[images["fraction"] == 80], "whole network")
    assert list(table["dice"].round(2)) == [0.9, 0.9, 0.8, 0.8, 0.7, 0.7]
    assert mask_rows.median_image(table) == 3
    assert mask_rows.median_image(table.head(5)) == 2
    assert mask_rows.median_image(table.head(2).assign(empty_truth=True)) == 0
    assert mask_rows.median_first(table)[:3] == ["head 4.png", "head 0.png", "head 3.png"]


def test_labels_name_group_and_folder_where_they_are_needed() -> None:
    table = pd.DataFrame({"image": ["a/1.png", "b/2.png"], "group": ["p1", ""], "empty_truth": [False, True]})
    assert mask_rows.labels(table) == ["1.png · p1", "2.png · normal"]
    assert mask_rows.labels(table.assign(image=["a/1.png", "b/1.png"])) == ["a/1.png · p1", "b/1.png · normal"]


def test_a_row_of_masks_is_image_truth_and_a_tile_per_strategy() -> None:
    images = gallery.tested(images_of(trials(), {"b800": 0.25}), trials())
    table = mask_rows.mask_row_table(images[images["fraction"] == 80], 1, ["block 9", "whole network", "block 1"])
    assert list(table["title"]) == ["image", "truth", "block 9", "whole network", "block 1"]
    assert table["predicted_mask"].notna().tolist() == [False, False, True, True, False]
    assert mask_rows.captions(table, "256 × 173 pixels") == [
        "**image** · 256 × 173 pixels", "**truth**", "**block 9** · Dice 0.550", "**whole network** · Dice 0.800",
        "**block 1** · not tested on this image",
    ]  # fmt: skip


def test_the_image_tells_its_size_in_mm_where_that_is_known() -> None:
    source = pd.Series({"source_width": 256, "source_height": 173, "spacing_mm": 0.5})
    assert mask_rows.frame_size(source) == "256\u00a0×\u00a0173\u00a0pixels, 128\u00a0×\u00a086\u00a0mm"
    source["spacing_mm"] = np.nan
    assert mask_rows.frame_size(source) == "256\u00a0×\u00a0173\u00a0pixels"


def test_predictions_on_a_normal_image_tell_their_pixels() -> None:
    images = gallery.tested(images_of(trials()), trials()).assign(empty_truth=True)
    table = mask_rows.mask_row_table(images[images["fraction"] == 80], 0, ["block 9"])
    assert mask_rows.captions(table, "256 × 173 pixels")[2] == "**block 9** · 50 pixels predicted"


def test_of_several_seeds_the_first_is_drawn_and_the_mean_is_sorted_by() -> None:
    one = trials().head(1)
    both = pd.concat([one, one.assign(id="seed 1", seed=1)])
    images = gallery.tested(images_of(both, {"seed 1": 0.4}), both)
    assert mask_rows.mask_row_table(images, 0, ["whole network"])["dice"].iloc[2] == pytest.approx(0.9)
    assert mask_rows.images_table(images, "whole network")["dice"].iloc[0] == pytest.approx(0.7)


# As pre-trained, few images, many images


def stages(dice_as_is: float = 0.3) -> pd.DataFrame:
    whole = trials().query("strategy == 'whole network'")
    as_is = whole.head(2).assign(id=["p0", "p1"], strategy=AS_PRETRAINED, fraction=0.0)
    before = gallery.tested(images_of(as_is, {"p0": dice_as_is, "p1": dice_as_is}), as_is)
    after = gallery.tested(images_of(whole, {"w50": 0.1, "w51": 0.1}), whole)
    return pretrained.stages_table(before, after)


def test_the_three_stages_are_no_fine_tuning_few_images_and_many() -> None:
    table = pretrained.pretrained_table(stages())
    assert list(dict.fromkeys(table["stage"])) == ["no fine-tuning", "5 %", "80 %"]
    assert list(table["value"].round(2)) == [0.5, 0.5, 0.7, 0.7, 0.8, 0.8]
    assert set(table["images"]) == {3}
    assert pretrained.means(table) == {
        "no fine-tuning": "0.500 (0.000)",
        "5 %": "0.700 (0.000)",
        "80 %": "0.800 (0.000)",
    }
    figure = pretrained.pretrained(table)
    assert [trace.name for trace in figure.data] == ["fold 0", "fold 1", "mean"]
    assert list(figure.data[-1].y) == pytest.approx([0.5, 0.7, 0.8])
    assert [trace.marker.symbol for trace in figure.data[:2]] == ["circle", "diamond"]
    assert figure.data[-1].hovertext[1] == "<b>5 %</b><br>mean Dice 0.700, sd 0.000, over 2 folds, n = 6 test images"


def test_from_three_folds_on_the_mean_of_a_stage_has_an_interval() -> None:
    rows = [
        {"stage": stage, "fold": index % 3, "index": index, "group": f"g{index % 6}", "dice": dice + index / 100,
         "seed": 0, "empty_truth": False}
        for stage, dice in (("no fine-tuning", 0.3), ("80 %", 0.6)) for index in range(12)
    ]  # fmt: skip
    told = pretrained.pretrained(pretrained.pretrained_table(pd.DataFrame(rows))).data[-1].hovertext
    assert all("over 3 folds, n = 12 test images<br>95 % interval 0." in text for text in told)
    assert all(text.endswith("bootstrap over 6 groups") for text in told)


def test_stages_are_of_the_same_images() -> None:
    table = stages()
    assert set(table.groupby("stage")["index"].nunique()) == {6}
    one_fold = table[table["fold"] == 0].drop(columns="stage")
    fewer = pretrained.stages_table(one_fold[one_fold["strategy"] == AS_PRETRAINED], one_fold.query("fraction > 0"))
    assert set(fewer["index"]) == {0, 1, 2}


def test_images_of_the_stages_are_spread_from_the_worst_to_the_best_start() -> None:
    table = stages()
    assert pretrained.chosen_images(table, 3) == [2, 1, 3]  # Dice 0.4, 0.5, 0.6 without fine-tuning
    assert len(pretrained.chosen_images(table, 20)) == 6
    row = pretrained.stage_row(table, 4)
    assert list(row["stage"]) == ["no fine-tuning", "5 %", "80 %"]
    assert list(row["dice"].round(2)) == [0.5, 0.7, 0.8]


def test_without_tests_of_the_start_weights_the_figure_says_so() -> None:
    nothing = pretrained.stages_table(stages().iloc[:0], stages())
    assert not len(nothing)
    assert (
        "No test of the start weights"
        in pretrained.pretrained(pretrained.pretrained_table(nothing)).layout.annotations[0].text
    )
