from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from engine import published
from engine.architectures import UNET_STRATEGIES
from engine.errors import DataError
from engine.significance import claim_table
from engine.significance.claims import CLAIMS
from engine.significance.verdicts import Difference, judge, told
from tests.made_results import fold_values, study

BUS = published.table2().query("dataset == 'BUS'")
PUBLISHED = {
    fraction: dict(zip(rows["strategy"], rows["dice_mean"], strict=True))
    for fraction, rows in BUS.groupby("train_percent")
}
"""Mean Dice of the published BUS rows, by fraction and strategy."""


def verdicts(means: Mapping[float, Mapping[str, float]], **changes: object) -> pd.DataFrame:
    images = study({float(key): row for key, row in means.items()}, **changes)  # type: ignore[arg-type]
    return claim_table(fold_values(images), images, resamples=1000).set_index("claim")


def test_each_published_claim_has_its_contrasts() -> None:
    assert list(CLAIMS) == list(published.claims()["claim"])
    named = {name for claim in CLAIMS.values() for pair in claim.pairs for name in pair}
    assert named <= set(UNET_STRATEGIES)


def test_a_study_that_comes_out_as_the_published_bus_rows_agrees_where_table_2_does() -> None:
    found = verdicts(PUBLISHED)
    assert found.columns.tolist() == [
        "section",
        "published_outcome",
        "does_table2_agree",
        "ours",
        "verdict",
        "why",
    ]
    assert found["verdict"].to_dict() == {
        "contracting > expanding (scheme 1)": "agrees",
        "all except block 5 > block 5 (scheme 2)": "agrees",
        "whole network > from scratch": "agrees",
        # block 9 and blocks 3,4 are higher at 50 % than at 80 %, and block 9 at 5 % than at 50 %
        "more data is better (80 > 50 > 5 %)": "disagrees",
        # 0.625 of contracting < 0.637 of blocks 1,2 at 5 %
        "contracting > blocks 1,2 and > blocks 3,4": "disagrees",
        "block 1 > block 9": "agrees",
        # 0.729 and 0.759 at 50 %
        "blocks 1,2,8,9 = blocks 3-7": "disagrees",
        # 0.774, 0.767 and 0.785
        "whole network = contracting = all except block 5 at 80 %": "disagrees",
        # 0.666, with 0.663 of the whole network next; these images differ by 0.001 at most by chance
        "all except block 5 is best with 5 %": "agrees",
        "fine-tuning shallow layers is faster": "not in this study",
    }
    why = found["why"]
    assert why["contracting > blocks 1,2 and > blocks 3,4"].endswith("zero: contracting and blocks 1,2 at 5 %")
    assert why["fine-tuning shallow layers is faster"] == "no minutes of training"


def test_a_claim_is_judged_on_the_data_sets_alone_that_the_paper_states_it_for() -> None:
    for row in published.claims().itertuples():
        stated = CLAIMS[str(row.claim)].stated_for
        if "except on SUS" in str(row.published_outcome):
            assert stated == ("BUS", "FUS", "X-ray")
        else:
            assert stated == tuple(
                name for name in ("SUS", "BUS", "FUS", "X-ray") if name in str(row.published_outcome)
            )
    images = study({80.0: {"block 1": 0.62, "block 9": 0.71}})
    for beside, verdict in ((None, "disagrees"), ("BUS", "disagrees"), ("SUS", "not claimed")):
        table = claim_table(fold_values(images), images, stands_for=beside, resamples=1000).set_index("claim")
        assert table.loc["block 1 > block 9", "verdict"] == verdict
    assert table.loc["block 1 > block 9", "why"] == "the paper states this for BUS, FUS and X-ray, not for SUS"
    assert table.loc["block 1 > block 9", "ours"].startswith("80 %: block 1 minus block 9 -0.0")


def test_ours_tells_differences_intervals_and_counts_per_fraction() -> None:
    found = verdicts({80: {"contracting": 0.8, "expanding": 0.7}, 5: {"contracting": 0.7, "expanding": 0.65}})
    said = found.loc["contracting > expanding (scheme 1)", "ours"].split("; ")
    assert len(said) == 2
    assert said[0].startswith("80 %: contracting minus expanding +0.1")
    assert said[0].endswith("], 5 folds, 100 images")
    assert said[1].startswith("5 %: contracting minus expanding +0.0")


def test_with_two_folds_every_verdict_is_open_and_directions_are_told_in_words() -> None:
    images = study({float(key): row for key, row in PUBLISHED.items()})
    images = images[images["fold"] < 2]
    found = claim_table(fold_values(images).assign(minutes=1.0), images).set_index("claim")
    assert set(found["verdict"]) == {"cannot tell"}
    assert "80 %: contracting 0.06" in found.loc["contracting > expanding (scheme 1)", "ours"]
    assert "above expanding, 2 folds, 40 images" in found.loc["contracting > expanding (scheme 1)", "ours"]
    assert "[" not in "".join(found["ours"])
    assert found.loc["block 1 > block 9", "why"].startswith("2 folds: no test and no interval")


def test_equality_is_equivalence_and_never_a_difference_that_is_not_significant() -> None:
    claim = "blocks 1,2,8,9 = blocks 3-7"
    same = {80: {"blocks 1,2,8,9": 0.8, "blocks 3-7": 0.8}}
    assert verdicts(same).loc[claim, "verdict"] == "agrees"
    noisy = verdicts(same, sd=0.3).loc[claim]
    assert noisy["verdict"] == "cannot tell"
    assert noisy["why"] == "the interval is not clear of ±0.010: blocks 1,2,8,9 and blocks 3-7 at 80 %"
    apart = {80: {"blocks 1,2,8,9": 0.83, "blocks 3-7": 0.8}}
    assert verdicts(apart).loc[claim, "verdict"] == "disagrees"


@pytest.mark.parametrize("claim", [name for name in CLAIMS if "faster" not in name])
def test_a_study_without_the_strategies_or_fractions_says_so(claim: str) -> None:
    row = verdicts({50: {"block 3": 0.7, "block 4": 0.8}}).loc[claim]
    assert (row["verdict"], row["ours"]) == ("not in this study", "")
    assert row["why"].startswith("no ")


def test_the_paper_s_small_fraction_decides_on_start_weights() -> None:
    claim = "whole network > from scratch"
    means = {80: {"whole network": 0.8, "from scratch": 0.82}, 5: {"whole network": 0.7, "from scratch": 0.5}}
    both = verdicts(means).loc[claim]
    assert both["verdict"] == "agrees"
    assert "80 %: whole network minus from scratch -0.019 [" in both["ours"]
    large = verdicts({80: means[80]}).loc[claim]
    assert large["verdict"] == "not in this study"
    assert large["why"] == "the paper calls it significant at 5 %, which this study does not have"


def test_what_is_missing_keeps_a_claim_open_and_is_named() -> None:
    row = verdicts({80: {"contracting": 0.8, "blocks 1,2": 0.7}}).loc["contracting > blocks 1,2 and > blocks 3,4"]
    assert (row["verdict"], row["why"]) == ("cannot tell", "no results of blocks 3,4 at 80 %")


def test_cells_with_a_fold_to_go_are_left_out() -> None:
    images = study({80.0: {"block 1": 0.8, "block 9": 0.7}})
    folds = fold_values(images).assign(done=True)
    folds.loc[(folds["strategy"] == "block 9") & (folds["fold"] == 4), "done"] = False
    row = claim_table(folds, images).set_index("claim").loc["block 1 > block 9"]
    assert (row["verdict"], row["why"]) == ("not in this study", "no results of block 9 at 80 %")


def test_faster_goes_by_minutes_at_the_largest_fraction() -> None:
    names = ("whole network", "contracting", "all except block 5")
    images = study({80.0: dict.fromkeys(names, 0.8), 5.0: dict.fromkeys(names, 0.7)})
    random = np.random.default_rng(0)
    folds = fold_values(images)
    folds["minutes"] = folds["strategy"].map({"whole network": 3.0, "contracting": 2.0, "all except block 5": 2.2})
    folds["minutes"] += random.normal(0, 0.05, len(folds))
    claim = "fine-tuning shallow layers is faster"
    row = claim_table(folds, images).set_index("claim").loc[claim]
    assert row["verdict"] == "agrees"
    assert row["ours"].startswith("80 %: whole network minus contracting +1.0")
    assert row["ours"].count("5 folds") == 2
    assert "5 %: " not in row["ours"]
    folds["minutes"] *= -1
    assert claim_table(folds, images).set_index("claim").loc[claim, "verdict"] == "disagrees"


def test_several_data_sets_are_told_apart() -> None:
    one = study({80.0: {"block 1": 0.8, "block 9": 0.7}}).assign(dataset="A")
    other = study({80.0: {"block 1": 0.6, "block 9": 0.7}}, seed=1).assign(dataset="B")
    folds = pd.concat([fold_values(part).assign(dataset=part["dataset"].iloc[0]) for part in (one, other)])
    row = claim_table(folds, pd.concat([one, other])).set_index("claim").loc["block 1 > block 9"]
    assert row["verdict"] == "disagrees"
    assert row["why"].endswith("corrected for 2 differences, is wholly below zero: block 1 and block 9 at B 80 %")
    assert row["ours"].startswith("A 80 %: block 1 minus block 9 +0.1")


def test_no_claim_is_tested_without_fractions() -> None:
    images = study({80.0: {"a": 0.8}})
    with pytest.raises(DataError, match="test images: column 'fraction' is missing"):
        claim_table(fold_values(images), images.drop(columns="fraction"))
    with pytest.raises(DataError, match="fold values: column 'value' is missing"):
        claim_table(fold_values(images).drop(columns="value"), images)
    assert set(claim_table(fold_values(images).iloc[:0], images)["verdict"]) == {"not in this study"}


def difference(mean: float, reach: float, place: str = "80 %") -> Difference:
    return Difference(
        place=place,
        first="a",
        second="b",
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        narrow=(mean - 0.8 * reach, mean + 0.8 * reach),
        wide=(mean - 1.5 * reach, mean + 1.5 * reach),
        folds=5,
        images=100,
        note="",
    )


def test_one_refuted_difference_refutes_the_claim_but_only_after_correction() -> None:
    clear, against = difference(0.1, 0.01), difference(-0.1, 0.01, "5 %")
    assert judge([clear, against], "greater", 0.01, [])[0] == "disagrees"
    almost = difference(-0.012, 0.01)
    assert almost.high is not None
    assert almost.high < 0
    assert judge([clear, almost], "greater", 0.01, [])[0] == "cannot tell"
    assert judge([clear], "greater", 0.01, ["no results of c"])[0] == "cannot tell"
    assert judge([clear], "greater", 0.01, [])[0] == "agrees"


def test_many_differences_are_told_by_number() -> None:
    many = [difference(0.01 * step, 0.005) for step in range(-2, 8)]
    assert told(many, "greater", 0.01) == (
        "7 of 10 differences are above zero; 7 shown to be as claimed, 2 against; "
        "lowest 80 %: a minus b -0.020 [-0.025, -0.015], 5 folds, 100 images; "
        "highest 80 %: a minus b +0.070 [+0.065, +0.075], 5 folds, 100 images"
    )
