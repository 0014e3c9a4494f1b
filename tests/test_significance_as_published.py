import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.significance import tukey_over_fractions, tukey_over_strategies

# R's PlantGrowth: ten weights of each group.
PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}


def table(values: dict[str, list[float]], *, over: str = "strategy") -> pd.DataFrame:
    rows = [
        {"dataset": "X", "fraction": 80.0, "strategy": "a", over: name, "fold": fold, "value": value}
        for name, own in values.items()
        for fold, value in enumerate(own)
    ]
    return pd.DataFrame(rows)


def test_tukey_gives_what_r_gives() -> None:
    # R 4: TukeyHSD(aov(weight ~ group, PlantGrowth))
    #             diff        lwr       upr     p adj
    # trt1-ctrl -0.371 -1.0622161 0.3202161 0.3908711
    # trt2-ctrl  0.494 -0.1972161 1.1852161 0.1979960
    # trt2-trt1  0.865  0.1737839 1.5562161 0.0120064
    order = {name: PLANTS[name] for name in ("trt2", "trt1", "ctrl")}
    found = tukey_over_strategies(table(order)).set_index(["first", "second"])
    expected = {
        ("trt1", "ctrl"): (-0.371, -1.0622161, 0.3202161, 0.3908711),
        ("trt2", "ctrl"): (0.494, -0.1972161, 1.1852161, 0.1979960),
        ("trt2", "trt1"): (0.865, 0.1737839, 1.5562161, 0.0120064),
    }
    for pair, numbers in expected.items():
        assert tuple(found.loc[pair, ["difference", "low", "high", "p"]]) == pytest.approx(numbers, abs=2e-7)
    assert (found["reason"] == "").all()
    assert (found["folds_first"] == 10).all()


def test_every_row_says_what_the_test_does_not_see() -> None:
    assert set(tukey_over_strategies(table(PLANTS))["label"]) == {
        "as published: Tukey's HSD over folds; folds share training images"
    }


def test_each_data_set_and_fraction_is_a_family_of_its_own() -> None:
    one = table(PLANTS)
    both = pd.concat([one, one.assign(fraction=5.0, value=one["value"] * 2)])
    found = tukey_over_strategies(both)
    assert len(found) == 6
    alone = tukey_over_strategies(one)
    pd.testing.assert_frame_equal(found[found["fraction"] == 80].reset_index(drop=True), alone)
    assert found["p"].iloc[3:].to_list() == pytest.approx(alone["p"].to_list())


def test_fractions_are_compared_within_a_strategy() -> None:
    values = table(PLANTS, over="fraction").replace({"ctrl": 5.0, "trt1": 50.0, "trt2": 80.0})
    found = tukey_over_fractions(values.astype({"fraction": float}))
    assert found.columns[:4].tolist() == ["dataset", "strategy", "first", "second"]
    assert found["p"].to_list() == pytest.approx([0.3908711, 0.1979960, 0.0120064], abs=2e-7)


def test_with_two_folds_there_is_no_p_and_a_reason() -> None:
    found = tukey_over_strategies(table({name: own[:2] for name, own in PLANTS.items()}))
    assert found[["p", "low", "high"]].isna().all(axis=None)
    assert set(found["reason"]) == {"2 folds: no test; it takes 3 folds of both at least"}
    assert found["difference"].notna().all()


def test_a_strategy_with_too_few_converged_folds_is_left_out_of_the_test_alone() -> None:
    values = {**PLANTS, "scratch": [5.0, np.nan, np.nan]}
    found = tukey_over_strategies(table(values)).set_index(["first", "second"])
    assert found.loc[("ctrl", "scratch"), "reason"] == "1 fold: no test; it takes 3 folds of both at least"
    assert found.loc[("trt1", "trt2"), "p"] == pytest.approx(0.0120064, abs=2e-7)


def test_folds_that_are_all_equal_have_no_test() -> None:
    found = tukey_over_strategies(table({"a": [0.5] * 5, "b": [0.6] * 5}))
    assert found["reason"].tolist() == ["no test: no value differs between folds"]


def test_two_values_of_a_fold_and_an_absent_column_are_refused() -> None:
    twice = table(PLANTS)
    with pytest.raises(DataError, match="30 folds have two values; average the seeds of a fold first"):
        tukey_over_strategies(pd.concat([twice, twice]))
    with pytest.raises(DataError, match="column 'fold' is missing"):
        tukey_over_fractions(twice.drop(columns="fold"))


def test_nothing_gives_an_empty_table() -> None:
    assert tukey_over_strategies(table(PLANTS).iloc[:0]).empty


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(12)))
def test_neither_rows_nor_sides_decide(order: list[int]) -> None:
    values = table({"a": PLANTS["trt1"][:6], "b": PLANTS["trt2"][:6]})
    found, expected = tukey_over_strategies(values.iloc[order]), tukey_over_strategies(values)
    sign = 1 if found["first"].iloc[0] == "a" else -1
    assert sign * found["difference"].iloc[0] == pytest.approx(expected["difference"].iloc[0])
    assert found["p"].iloc[0] == pytest.approx(expected["p"].iloc[0])
    assert (sign * found[["low", "high"]]).iloc[0].sort_values().to_list() == pytest.approx(
        expected[["low", "high"]].iloc[0].to_list()
    )
