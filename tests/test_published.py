import pytest

from engine import published
from engine.architectures import UNET_STRATEGIES, trainable_parameters


def test_table_1_shares_out_every_image() -> None:
    table = published.table1()
    assert dict(zip(table["dataset"], table["size"], strict=True)) == published.SIZES
    full = table[table["train_percent"] == 80]
    assert (full["training"] + full["validation"] + full["test"]).tolist() == list(published.SIZES.values())


def test_table_2_has_13_strategies_x_4_data_sets_x_3_fractions() -> None:
    table = published.table2()
    assert len(table) == 13 * 4 * 3
    assert not table.duplicated(["dataset", "train_percent", "strategy"]).any()
    for _, rows in table.groupby(["dataset", "train_percent"]):
        assert rows["strategy"].tolist() == list(UNET_STRATEGIES)


def test_the_five_means_that_cannot_be_read_stay_missing() -> None:
    # the text at hand has no mean for these cells of FUS 50 % (Amiri et al. 2020, Table II)
    table = published.table2()
    missing = table[table["dice_mean"].isna()]
    assert set(missing["dataset"] + " " + missing["train_percent"].astype(str)) == {"FUS 50"}
    assert missing["strategy"].tolist() == ["expanding", "block 5", "blocks 3-7", "blocks 1,2", "from scratch"]
    assert not table["dice_std"].isna().any()


def test_only_from_scratch_has_failed_folds() -> None:
    # Amiri et al. 2020, Table II, last column: 10 of 60 trainings
    table = published.table2()
    assert table.groupby("strategy")["failed_folds"].sum().loc[lambda failed: failed > 0].to_dict() == {
        "from scratch": 10
    }
    assert (table["folds"] == 5).all()


def test_table_3_repeats_the_dice_of_table_2_at_80_percent() -> None:
    both = published.table3().merge(
        published.table2().query("train_percent == 80"), on=["dataset", "strategy"], suffixes=("", "_2")
    )
    assert len(both) == 12
    assert both["dice_mean"].tolist() == both["dice_mean_2"].tolist()


def test_the_published_parameter_counts_are_those_of_our_units() -> None:
    table = published.strategies()
    ours = [trainable_parameters(strategy, "unet", published.WIDTH) for strategy in UNET_STRATEGIES.values()]
    assert table["strategy"].tolist() == list(UNET_STRATEGIES)
    assert table["parameters_exact"].tolist() == ours


def test_a_claim_that_cannot_be_checked_stays_open() -> None:
    claims = published.claims().set_index("claim")["does_table2_agree"]
    assert len(claims) == 10
    assert claims.isna()["blocks 1,2,8,9 = blocks 3-7"]


@pytest.mark.parametrize(
    "read", [published.table1, published.table2, published.table3, published.strategies, published.claims]
)
def test_a_table_that_was_changed_is_read_afresh(read: object) -> None:
    changed = read()  # type: ignore[operator]
    changed.iloc[:, 0] = "changed"
    assert (read().iloc[:, 0] != "changed").all()  # type: ignore[operator]


def test_the_citation_leads_to_the_paper() -> None:
    assert published.CITATION.url == "https://doi.org/10.1109/TUFFC.2020.3015081"
    assert published.CITATION.short == "Amiri, Brooks, Rivaz 2020"


def test_the_published_numbers_are_those_of_the_reference_folder(shared_data: object) -> None:
    for name in ("table1", "table2", "table3", "strategies", "claims"):
        reference = shared_data.parent / "reference" / f"amiri2020_{name}.csv"  # type: ignore[attr-defined]
        ours = published.__path__[0]
        with reference.open("rb") as theirs, open(f"{ours}/{reference.name}", "rb") as copy:  # noqa: PTH123
            assert theirs.read() == copy.read()
