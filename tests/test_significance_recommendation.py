from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine import published
from engine.architectures import UNET_STRATEGIES, trainable_parameters
from engine.errors import DataError
from engine.significance import recommend, recommend_from_means, tukey_over_strategies
from engine.significance.reach import fold_spread, residuals
from tests.made_results import study, with_mean_and_sd

TRAINABLE = {name: trainable_parameters(strategy, "unet", 64) for name, strategy in UNET_STRATEGIES.items()}
PUBLISHED_ROWS = [(name, fraction) for name in published.SIZES for fraction in published.FRACTIONS]


def cells_of(names: list[str], **changes: object) -> pd.DataFrame:
    """A complete cell of each strategy, with the U-Net's counts."""
    table = pd.DataFrame({"strategy": names, "complete": True, "failed": 0, "minutes": 2.0})
    table["trainable"] = [TRAINABLE.get(name, 0) for name in names]
    table["megabytes"] = table["trainable"] * 4 / 1e6
    return table.assign(**changes)


def published_cells(dataset: str, fraction: float) -> pd.DataFrame:
    """A row of the published Table II as cells."""
    table = published.table2().query("dataset == @dataset and train_percent == @fraction")
    return pd.DataFrame(
        {
            "strategy": table["strategy"],
            "mean": table["dice_mean"],
            "sd": table["dice_std"],
            "folds": table["folds"],
            "failed": table["failed_folds"],
            "complete": True,
            "trainable": table["strategy"].map(TRAINABLE),
        }
    )


def one_study(means: dict[str, float], **changes: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    images = study({80.0: means}, **changes)  # type: ignore[arg-type]
    return images, cells_of(list(means))


def test_the_cheapest_strategy_within_the_margin_is_recommended() -> None:
    means = {"whole network": 0.80, "blocks 1,2": 0.798, "block 9": 0.6, "contracting": 0.81}
    found = recommend(*one_study(means, sd=0.005))
    assert (found.outcome, found.strategy, found.closest) == ("recommended", "blocks 1,2", "blocks 1,2")
    assert found.loss == pytest.approx(0.002, abs=0.003)
    assert found.bound is not None
    assert found.loss is not None
    assert found.loss < found.bound <= found.margin == 0.01
    assert (found.trained_parameters, found.minutes, found.megabytes) == (259008, 2.0, pytest.approx(1.036, abs=1e-3))
    assert found.candidates["strategy"].tolist() == ["block 9", "blocks 1,2", "contracting", "whole network"]
    assert found.candidates["non_inferior"].tolist() == [False, True, True, False]
    assert found.sentence.startswith("Fine-tune blocks 1,2: mean Dice 0.00")
    assert "corrected for 3 strategies; 100 test images, 5 folds), within the margin of 0.010" in found.sentence
    assert found.sentence.endswith(
        "It trains 259,008 of the 31,030,593 parameters that whole network trains, 1.0 MB, 2.0 minutes per training "
        "(whole network 2.0)."
    )
    assert found.trials is None


def test_a_difference_that_is_not_significant_is_not_taken_for_none() -> None:
    # so much noise that block 9's loss of 0.03 is not significant, and nothing can be said either way
    images, cells = one_study({"whole network": 0.80, "block 9": 0.77}, sd=0.25)
    found = recommend(images, cells)
    assert found.candidates.set_index("strategy").loc["block 9", "least"] < 0
    assert (found.outcome, found.strategy, found.closest) == ("cannot tell", None, "block 9")
    assert found.trained_parameters is found.minutes is None
    assert found.smallest_difference is not None
    assert found.smallest_difference > 0.03
    seen = found.candidates.set_index("strategy")["smallest_difference"]
    assert seen["block 9"] == found.smallest_difference
    assert pd.isna(seen["whole network"])
    assert found.sentence.startswith("The data cannot tell which cheaper strategy stays within 0.010 Dice")
    assert f"The smallest loss that this study could have seen is {found.smallest_difference:.3f}" in found.sentence
    assert found.trials is not None
    assert found.sentence.endswith(found.trials.sentence)


def test_a_study_that_could_see_nothing_says_so() -> None:
    found = recommend(*one_study({"whole network": 0.80, "block 9": 0.77}, sd=3.0, folds=3, images=6))
    assert found.smallest_difference is not None
    assert found.smallest_difference > 1  # Dice and accuracy have no such loss
    assert "This study could have seen no loss at all, however large (80 % power)." in found.sentence
    assert "The smallest loss" not in found.sentence


def test_where_every_cheaper_strategy_loses_more_the_reference_stays() -> None:
    found = recommend(*one_study({"whole network": 0.80, "block 9": 0.6, "block 1": 0.7}))
    assert (found.outcome, found.strategy, found.closest) == ("reference only", "whole network", "block 1")
    assert found.trained_parameters == 31030593
    assert found.sentence.startswith("Keep whole network: every cheaper strategy loses more than 0.010 Dice.")


def test_without_a_cheaper_strategy_there_is_only_the_reference() -> None:
    found = recommend(*one_study({"whole network": 0.80, "from scratch": 0.9, "as pre-trained": 0.8}))
    assert (found.outcome, found.strategy, found.bound) == ("reference only", "whole network", None)
    assert found.sentence == "No strategy that trains fewer parameters than whole network was tried."
    assert found.candidates.set_index("strategy").loc["from scratch", "reason"] == "no fine-tuning"


def test_with_two_folds_the_data_cannot_tell_and_the_sentence_says_why() -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.80})
    found = recommend(images[images["fold"] < 2], cells)
    assert (found.outcome, found.bound) == ("cannot tell", None)
    assert found.sentence.startswith("The data cannot tell: 2 folds: no test and no interval")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"complete": [True, False, True]}, "not all folds are done"),
        ({"failed": [0, 1, 0]}, "1 training failed to converge"),
        ({"crashed": [0, 2, 0]}, "2 trainings crashed"),
    ],
)
def test_what_did_not_converge_in_all_folds_is_no_candidate(changes: dict[str, object], reason: str) -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.85, "blocks 1,2": 0.81})
    found = recommend(images, cells.assign(**changes))
    assert found.strategy == "blocks 1,2"
    assert found.candidates.set_index("strategy").loc["block 9", "reason"] == reason
    assert "corrected for 1 strategy" in found.sentence


def test_a_candidate_without_the_reference_s_folds_is_none() -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.85, "blocks 1,2": 0.81})
    found = recommend(images[(images["strategy"] != "block 9") | (images["fold"] < 4)], cells)
    assert found.strategy == "blocks 1,2"
    assert found.candidates.set_index("strategy").loc["block 9", "reason"] == "only 4 of 5 folds"
    gone = recommend(images[images["strategy"] != "block 9"], cells)
    assert gone.candidates.set_index("strategy").loc["block 9", "reason"] == "no test images"


def test_nothing_is_as_good_as_a_reference_that_only_said_background() -> None:
    images, cells = one_study({"whole network": 0.0, "block 9": 0.0}, sd=0.0)
    cells["collapsed"] = [2, 3]
    found = recommend(images, cells)
    assert (found.outcome, found.strategy) == ("cannot tell", None)
    assert "2 trainings only said background" in found.sentence


def test_without_results_of_the_reference_the_data_cannot_tell() -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.85})
    absent = recommend(images, cells[cells["strategy"] != "whole network"])
    assert absent.outcome == "cannot tell"
    assert "whole network, which others are held against, is not in this study" in absent.sentence
    begun = recommend(images, cells.assign(complete=[False, True]))
    assert begun.outcome == "cannot tell"
    assert begun.sentence.endswith("which others are held against: not all folds are done.")
    untested = recommend(images[images["strategy"] == "block 9"], cells)
    assert untested.sentence.endswith("which others are held against: no test images.")


def test_trainings_that_differ_between_folds_widen_the_bound() -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.80}, images=200)
    steady = recommend(images, cells)
    moved = images.copy()
    own = moved["strategy"] == "block 9"
    moved.loc[own, "dice"] += moved.loc[own, "fold"].map(dict(enumerate([-0.02, 0.02, -0.01, 0.01, 0.0])))
    shaken = recommend(moved, cells)
    assert steady.outcome == "recommended"
    assert shaken.outcome == "cannot tell"
    assert shaken.loss == pytest.approx(steady.loss)
    assert shaken.smallest_difference is not None
    assert steady.smallest_difference is not None
    assert shaken.smallest_difference > 3 * steady.smallest_difference


def test_the_variance_between_folds_is_what_images_do_not_explain() -> None:
    random, fold, found = np.random.default_rng(0), np.repeat(np.arange(5), 40), []
    table = pd.DataFrame({"fold": fold, "index": range(200)})
    for _ in range(200):
        difference = random.normal(0, 0.03, 5)[fold] + random.normal(0, 0.1, 200)
        found.append(fold_spread(residuals(table.assign(difference=difference), "index")).beyond)
    assert np.mean(found) == pytest.approx(0.03**2, rel=0.2)
    alike = pd.DataFrame({"fold": [0, 0, 1, 1, 2, 2], "index": range(6), "difference": [0.1, -0.1] * 3})
    assert fold_spread(residuals(alike, "index")).beyond == 0.0


@pytest.mark.parametrize(("dataset", "fraction"), PUBLISHED_ROWS)
def test_of_the_published_table_nothing_with_block_9_alone_or_blocks_1_and_9_is_recommended(
    dataset: str, fraction: float
) -> None:
    found = recommend_from_means(published_cells(dataset, fraction))
    assert found.strategy not in ("block 9", "blocks 1,9")
    assert found.outcome in ("recommended", "cannot tell")


def test_of_the_published_rows_one_can_tell() -> None:
    outcomes = {row: recommend_from_means(published_cells(*row)) for row in PUBLISHED_ROWS}
    told = {row: found.strategy for row, found in outcomes.items() if found.outcome == "recommended"}
    assert told == {("X-ray", 80.0): "blocks 1,2,8,9"}
    xray = outcomes["X-ray", 80.0]
    # loss 0.979 - 0.977; bound + 2 * 0.0005 + t(1 - .05/11, 4) * sqrt((0.0005² + 0.0015²) * (1/5 + 1/4)), where 0.0005
    # is half a unit of the last printed digit
    reach = stats.t.ppf(1 - 0.05 / 11, 4) * sqrt((0.0005**2 + 0.0015**2) * 0.45)
    assert xray.loss == pytest.approx(0.002)
    assert xray.bound == pytest.approx(0.002 + 0.001 + reach)
    assert outcomes["FUS", 50.0].candidates.set_index("strategy").loc["expanding", "reason"] == "no mean and sd"


def test_tukey_would_let_block_9_and_blocks_1_and_9_pass() -> None:
    # SUS 5 %: 0.609 (0.175) and 0.731 (0.044) against 0.749 (0.046); five folds with exactly these means and sd
    cells = published_cells("SUS", 5.0)
    folds = pd.DataFrame(
        [
            {"dataset": "SUS", "fraction": 5.0, "strategy": name, "fold": fold, "value": value}
            for name, mean, sd in cells[["strategy", "mean", "sd"]].itertuples(index=False)
            for fold, value in enumerate(with_mean_and_sd(mean, sd))
        ]
    )
    tukey = tukey_over_strategies(folds)
    against = tukey[tukey["first"] == "whole network"].set_index("second")
    assert against.loc["block 9", "p"] > 0.05
    assert against.loc["blocks 1,9", "p"] > 0.05
    passing = [name for name, p in against["p"].items() if p > 0.05]
    assert min(passing, key=lambda name: TRAINABLE[str(name)]) == "block 9"
    ours = recommend_from_means(cells)
    assert ours.outcome == "cannot tell"
    assert not ours.candidates["non_inferior"].any()


def test_a_table_that_lacks_a_column_or_has_two_cells_is_refused() -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.85})
    with pytest.raises(DataError, match="column 'trainable' is missing; expected strategy, complete, failed"):
        recommend(images, cells.drop(columns="trainable"))
    with pytest.raises(DataError, match="'whole network' has several rows; choose one data set, fraction and start"):
        recommend(images, pd.concat([cells, cells]))
    with pytest.raises(DataError, match="column 'mean' is missing"):
        recommend_from_means(cells)


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(300)), cell_order=st.permutations(range(3)))
def test_neither_the_order_of_images_nor_of_cells_decides(order: list[int], cell_order: list[int]) -> None:
    images, cells = one_study({"whole network": 0.80, "block 9": 0.7, "blocks 1,2": 0.799})
    found = recommend(images.iloc[order], cells.iloc[cell_order])
    expected = recommend(images, cells)
    assert (found.sentence, found.strategy) == (expected.sentence, expected.strategy)
    pd.testing.assert_frame_equal(found.candidates, expected.candidates)


@settings(deadline=None, max_examples=25)
@given(
    means=st.lists(st.integers(400, 950).map(lambda value: value / 1000), min_size=3, max_size=3),
    sds=st.lists(st.integers(0, 100).map(lambda value: value / 1000), min_size=3, max_size=3),
)
def test_a_wider_margin_never_asks_for_more_parameters(means: list[float], sds: list[float]) -> None:
    cells = cells_of(["whole network", "block 9", "contracting"], mean=means, sd=sds, folds=5)
    trained = []
    for margin in (0.005, 0.01, 0.05, 0.5, 2.0):
        found = recommend_from_means(cells, margin=margin)
        trained.append(found.trained_parameters if found.outcome == "recommended" else 10**9)
    assert trained == sorted(trained, reverse=True)
    assert trained[-1] == TRAINABLE["block 9"]
