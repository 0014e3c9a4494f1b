import pytest

from engine import published
from engine.architectures import UNET_STRATEGIES, trainable_parameters
from engine.published import cheng2017, pasdeloup2018


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
    "read",
    [
        published.table1, published.table2, published.table3, published.strategies, published.claims,
        pasdeloup2018.accuracy, cheng2017.classes, cheng2017.results, cheng2017.tests, cheng2017.agreement,
        cheng2017.times,
    ],
)  # fmt: skip
def test_a_table_that_was_changed_is_read_afresh(read: object) -> None:
    changed = read()  # type: ignore[operator]
    changed.iloc[:, 0] = "changed"
    assert (read().iloc[:, 0] != "changed").all()  # type: ignore[operator]


def test_the_citation_leads_to_the_paper() -> None:
    assert published.CITATION.url == "https://doi.org/10.1109/TUFFC.2020.3015081"
    assert published.CITATION.short == "Amiri, Brooks, Rivaz 2020"


def test_a_paper_without_a_doi_has_no_link() -> None:
    assert (pasdeloup2018.CITATION.doi, pasdeloup2018.CITATION.url) == ("", "")
    assert pasdeloup2018.CITATION.short == "Pasdeloup, Østvik, Smistad, Løvstakken 2018"
    assert cheng2017.CITATION.url == "https://doi.org/10.1007/s10278-016-9929-2"


def test_pasdeloup_has_both_networks_in_every_row() -> None:
    # Pasdeloup et al. 2018: two rows as they are, three adaptations
    table = pasdeloup2018.accuracy()
    assert len(table) == 10
    rows = table.pivot(index=["scanner", "strategy"], columns="model", values="accuracy_percent_mean")
    assert rows.notna().all(axis=None)
    assert rows.shape == (5, 2)
    assert (
        table["frames"].map({frames: name for name, frames in pasdeloup2018.FRAMES.items()}).eq(table["scanner"]).all()
    )
    as_it_is = table["strategy"] == "out of the box"
    assert table["accuracy_percent_spread"].isna().eq(as_it_is).all()


def test_pasdeloup_text_and_table_say_the_same() -> None:
    # the text has 99.68, 99.30, 77.65 and 77.07 %, the table 99.7, 99.3, 77.7 and 77.1; input layers: "from 78 to 92 %"
    table = pasdeloup2018.accuracy().set_index(["model", "scanner", "strategy"])["accuracy_percent_mean"]
    cvcnet = table["CVCNet"][pasdeloup2018.UNKNOWN]
    assert (round(cvcnet["out of the box"]), round(cvcnet["input layers fine-tuned"])) == (78, 92)
    assert round(table["CVCNet"][pasdeloup2018.KNOWN]["out of the box"], 1) == 99.7
    for model in ("CVCNet", "MobileNet"):
        of = table[model][pasdeloup2018.UNKNOWN]
        assert of.idxmax() == "input layers fine-tuned"
        assert (of["retrained from scratch"] > of["out of the box"]) == (model == "CVCNet")


def test_cheng_classes_add_up_to_table_2() -> None:
    # Cheng and Malhi 2017, Table 2: totals 4095, 1423, 5518
    table = cheng2017.classes()
    assert len(table) == 11
    assert table[["training", "test", "total"]].sum().tolist() == [4095, cheng2017.TEST_IMAGES, 5518]
    assert (table["training"] + table["test"] == table["total"]).all()


def test_cheng_counts_are_the_printed_percents() -> None:
    # Cheng and Malhi 2017, abstract and Results
    table = cheng2017.results().set_index(["reader", "subset", "top"])
    percent = (100 * table["correct"] / table["images"]).round(1)
    printed = {
        ("CaffeNet", "test", 1): 77.3, ("CaffeNet", "test", 2): 90.4, ("VGGNet", "test", 1): 77.9,
        ("VGGNet", "test", 2): 89.7, ("radiologist", "test", 1): 71.7, ("CaffeNet", "train", 1): 99.8,
        ("VGGNet", "train", 1): 100.0, ("CaffeNet", "test, Toshiba", 1): 73.8, ("CaffeNet", "test, Philips", 1): 79.7,
        ("VGGNet", "test, Toshiba", 1): 77.4, ("VGGNet", "test, Philips", 1): 78.3,
    }  # fmt: skip
    assert percent.to_dict() == printed
    for reader in ("CaffeNet", "VGGNet"):
        whole, parts = table.loc[(reader, "test", 1)], table.xs(1, level="top").loc[reader]
        scanners = parts.loc[["test, Toshiba", "test, Philips"]]
        assert scanners.sum().tolist() == whole.tolist()


def test_nobody_made_up_what_the_radiologist_was_not_asked() -> None:
    table = cheng2017.results()
    assert table.loc[table["reader"] == "radiologist", ["subset", "top"]].to_numpy().tolist() == [["test", 1]]


def test_published_regions_that_are_a_picture_stay_missing() -> None:
    # Cheng and Malhi 2017, Fig. 4: 799 right for all three, 123 for nobody
    table = cheng2017.regions()
    assert len(table) == 8
    assert table["images"].isna().sum() == 6
    readers = list(cheng2017.READERS)
    assert table.set_index(readers)["images"].dropna().to_dict() == {(True,) * 3: 799, (False,) * 3: 123}
    # Of the other 501 images, each right for one or two: 1,100 + 1,109 + 1,020 - 3 x 799 = 832 = ones + 2 x twos
    right = cheng2017.results().query("subset == 'test' and top == 1")["correct"].sum()
    others = cheng2017.TEST_IMAGES - 799 - 123
    twos = right - 3 * 799 - others
    assert (others - twos, twos) == (170, 331)


def test_the_radiologist_without_excess_errors_has_still_fewer_right() -> None:
    # Cheng and Malhi 2017, Discussion
    times = cheng2017.times().set_index(["reader", "what"])["value"]
    best = times["radiologist"].filter(like="without excess").max()
    assert best == 77.5
    assert best < 100 * 1109 / 1423
    assert set(cheng2017.COUNTS_OF_TESTS) == set(cheng2017.tests()["comparison"])
    categories = set(cheng2017.classes()["category"])
    assert {name for cell in cheng2017.LIVER_CONFUSIONS for name in cell} <= categories


def test_the_published_numbers_are_those_of_the_reference_folder(shared_data: object) -> None:
    names = [f"amiri2020_{name}" for name in ("table1", "table2", "table3", "strategies", "claims")]
    names += [f"cheng2017_{name}" for name in ("agreement", "classes", "results", "tests", "times")]
    for name in (*names, "pasdeloup2018"):
        reference = shared_data.parent / "reference" / f"{name}.csv"  # type: ignore[attr-defined]
        ours = published.__path__[0]
        with reference.open("rb") as theirs, open(f"{ours}/{reference.name}", "rb") as copy:  # noqa: PTH123
            assert theirs.read() == copy.read()
