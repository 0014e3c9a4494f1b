"""The Results page without a browser: every switch is in the address, and every choice changes what is shown."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.figures.answer import RUNNING
from dashboard.views.chart import CHART, config
from engine.store import Lease, Store
from tests.made_store import made_progress, made_store

APP = Path(__file__).parents[1] / "dashboard" / "app.py"
STARTS = [
    {"name": name, "sha256": "0" * 64, "kind": "made", "description": f"made {name}", "own_dice": 0.9, "seconds": 1.0}
    for name in ("natural", "ultrasound")
]

CAVEAT = "ASHA ends trials that are behind others."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two starts, rates and seeds, and another one."""
    folder = tmp_path_factory.mktemp("page")
    made_store(
        folder / "results", folder / "cache", study="all", folds=(0, 1, 2), fractions=(80,), rates=(1e-3, 1e-4),
        strategies=("whole network", "contracting", "from scratch"), seeds=(0, 1), starts=("natural", "ultrasound"),
        as_pretrained=True, facts={"start_weights": STARTS},
    )  # fmt: skip
    made_store(
        folder / "results", folder / "cache", study="other", fractions=(80,), strategies=("block 9",),
        facts={"search": {"scheduler": "asha", "caveats": [CAVEAT]}},
    )  # fmt: skip
    return folder


@pytest.fixture
def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page of the study, not opened yet."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))
    page = AppTest.from_file(str(APP), default_timeout=120)
    page.query_params["study"] = "all"
    return page


def said(page: AppTest) -> str:
    """The words on the page; it must have ended without an exception or an error."""
    assert not page.exception, page.exception
    assert not page.error, page.error
    return "\n".join(str(one.value) for one in (*page.warning, *page.markdown, *page.caption))


def test_a_link_opens_with_everything_that_its_sender_chose(page: AppTest) -> None:
    chosen = {
        "measure": "HD95", "rate": "0.001", "seed": "1", "colours": "colour-blind safe", "picture": "SVG",
        "strategy": "contracting", "start": "ultrasound", "with": "other",
    }  # fmt: skip
    for key, value in chosen.items():
        page.query_params[key] = value
    page.run()
    text = said(page)
    for key in ("measure", "rate", "seed", "colours", "picture"):
        assert page.segmented_control(key=key).value == chosen[key]
    for key in ("strategy", "start"):
        assert page.selectbox(key=key).value == chosen[key]
    assert page.multiselect(key="with").value == ["other"]
    assert "lowest mean test HD95 (mm)" in text
    assert "HD95 (mm), mean (sd) over folds; bold: lowest of its row" in text
    shown = {key: values if isinstance(values, str) else values[0] for key, values in page.query_params.items()}
    assert shown == {"study": "all", **chosen}


def test_what_is_chosen_goes_into_the_address_and_out_again(page: AppTest) -> None:
    page.run()
    assert dict(page.query_params) == {"study": ["all"]} or dict(page.query_params) == {"study": "all"}
    page.multiselect(key="with").set_value(["other"]).run()
    page.segmented_control(key="seed").set_value("0").run()
    page.selectbox(key="start").set_value("ultrasound").run()
    said(page)
    assert set(page.query_params) == {"study", "with", "seed", "start"}
    page.multiselect(key="with").set_value([]).run()
    page.segmented_control(key="seed").set_value("mean of seeds").run()
    page.selectbox(key="start").set_value("natural").run()
    said(page)
    assert set(page.query_params) == {"study"}


def test_each_row_has_its_recommendation_and_the_start_weights_are_named(page: AppTest) -> None:
    text = said(page.run())
    assert "**Recommendation, 80 % · natural:**" in text
    assert "**Recommendation, 80 % · ultrasound:**" in text
    assert "start weights: natural (made natural); ultrasound (made ultrasound)" in text
    assert "With **80 %** of the images (ultrasound): highest mean test Dice" in text


def test_tables_1_and_3_stand_below_with_the_published_ones(page: AppTest) -> None:
    text = said(page.run())
    assert [one.value for one in page.subheader][-2:] == ["Table I: images of each fold", "Table III: Dice and minutes"]
    first, third, every = (table.value for table in page.dataframe[-3:])
    assert first["images of"].tolist()[:3] == ["SUS (simulated): 40 images"] * 2 + ["SUS, Amiri et al. 2020: 85 images"]
    assert first["training"].tolist() == ["54", "3", "54", "34", "3"]  # Amiri et al. 2020, Table I
    assert third["strategy"].tolist()[-3:] == ["whole network", "contracting", "all except block 5"]
    assert third["minutes (mean)"].tolist()[-3:] == [1.36, 1.53, 1.30]  # Amiri et al. 2020, Table III
    assert set(third.iloc[:-3]["images of"]) == {"SUS (simulated) · natural", "SUS (simulated) · ultrasound"}
    assert third["minutes (median)"].tolist()[0] == 24 / 60
    assert third["epochs"].tolist()[0] == 15
    assert every["strategy"].tolist() == ["whole network", "contracting", "from scratch"] * 2
    assert "Ours on made, 2 cores" in text
    files = {button.key for button in page.get("download_button")}
    assert {"file all-table1", "file all-table3", "file all-curves-whole_network-80"} <= files


def test_table_3_without_its_strategies_has_those_of_the_study(page: AppTest) -> None:
    page.query_params["study"] = "other"
    text = said(page.run())
    assert page.dataframe[-1].value["strategy"].tolist() == ["block 9"]
    assert "Of whole network, contracting, all except block 5 none is complete." in text


def test_while_the_study_runs_results_rank_by_validation_and_recommend_nothing(page: AppTest, folder: Path) -> None:
    store = Store.at(folder / "results")
    before = store.progress("all")
    store.write_progress("all", made_progress("running", 1, 2))
    try:
        with Lease(store.files, "all"):
            text = said(page.run())
    finally:
        store.write_progress("all", before)
    assert text.count("by validation Dice so far") == 2
    assert "mean test Dice" not in text
    assert "**Recommendation" not in text
    assert RUNNING in text


@pytest.mark.parametrize("opened", ["results", "running"])
def test_the_caveat_of_a_scheduler_stands_on_the_pages(page: AppTest, opened: str) -> None:
    page.query_params["open"], page.query_params["study"] = opened, "other"
    assert f":material/info: {CAVEAT}" in said(page.run())


def test_charts_are_saved_as_pictures_and_nothing_goes_to_another_host() -> None:
    for settings, kind in ((CHART, "png"), (config("table2", "svg"), "svg")):
        assert settings["modeBarButtons"] == [["toImage"]]
        assert settings["toImageButtonOptions"]["format"] == kind
        assert settings["toImageButtonOptions"]["scale"] == (2 if kind == "png" else 1)  # pixels, or none of them
        assert not settings["displaylogo"]
