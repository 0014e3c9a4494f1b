"""A study with other folds for every strategy and fraction, on pages and in the report: nothing is joined by fold."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dashboard.figures import gain, gallery, pairs, pretrained, scratch, shared_folds
from dashboard.report import comparisons, sheets
from dashboard.report.drawings import drawings
from dashboard.report.findings import Findings, read_findings
from dashboard.report.methods import methods
from dashboard.report.tidy import tidy_tables
from engine.store import Store
from engine.trial import AS_PRETRAINED, TestImage, Trial
from tests.made_cells import made_cells, paper_cells
from tests.made_store import SKILL, made_store
from whichlayers.report import print_report

STRATEGIES = ("whole network", "contracting", "expanding", "all except block 5", "block 5", "from scratch")
IMAGES = 40
SAID = "every strategy and part of the images has folds of its own"


def with_own_fold(place: int, trial: Trial) -> Mapping[str, Any]:
    """Test images of a fold that is drawn anew for every strategy."""
    random, images = np.random.default_rng(place), []
    drawn = np.random.default_rng(STRATEGIES.index(trial.strategy)).permutation(IMAGES)
    for index in sorted(drawn[trial.fold :: 5].tolist()):
        dice = SKILL[trial.strategy] + 0.05 * np.sin(index) + random.normal(0, 0.01)
        images.append(
            TestImage(image=f"{index}.png", index=index, group="", dice=dice, iou=dice / (2 - dice), hd95=None,
                      empty_truth=False, predicted_pixels=9, predicted_mask=b"")
        )  # fmt: skip
    return {"test_images": tuple(images), "dice": float(np.mean([one.dice for one in images]))}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("own folds")
    store = made_store(
        folder / "r", folder / "c", study="own", images=IMAGES, image_size=32, strategies=STRATEGIES,
        folds=range(5), fractions=(80,), changes=with_own_fold,
    )  # fmt: skip
    facts = store.facts("own")
    facts["data"]["new_folds"] = True
    (folder / "r" / "own" / "facts.json").write_text(json.dumps(facts))
    return store


@pytest.fixture(scope="module")
def found(store: Store) -> Findings:
    return read_findings(store, "own")


def test_cells_say_whether_folds_are_shared(found: Findings) -> None:
    assert not found.cells["shared_folds"].any()
    assert paper_cells()["shared_folds"].all()
    both = pd.concat([found.cells, paper_cells(), made_cells({("block 1", 80): (0.5,)})], ignore_index=True)
    known = shared_folds.with_shared_folds(both).set_index("source")["shared_folds"]
    assert not known["ours"].iloc[:-1].any()
    assert known["published"].all()
    assert known["ours"].iloc[-1]  # cells that do not say it
    assert shared_folds.has_shared_folds({"data": {}})  # facts from before there were such studies


def test_fold_dots_of_a_pair_are_not_joined() -> None:
    folds = {("whole network", 80): (0.9, 0.8), ("from scratch", 80): (0.7, 0.75)}
    shared, own = (scratch.scratch_table(made_cells(folds, shared_folds=value)) for value in (True, False))
    assert [trace.mode for trace in scratch.scratch(shared).data].count("lines") == 1
    assert [trace.mode for trace in scratch.scratch(own).data].count("lines") == 0
    assert len(scratch.scratch(own).data) == len(scratch.scratch(shared).data) - 1
    assert "Small dots: folds, joined where both strategies have the same one." in pairs.spread_note(shared)
    assert f"Small dots: folds, not joined: {SAID}." in pairs.spread_note(own)


def test_the_rest_of_the_gain_is_not_told_fold_by_fold() -> None:
    folds = {(gain.PART, 80): (0.9, 0.8), (gain.WHOLE, 80): (0.8, 0.8)}
    table = gain.gain_table(made_cells(folds, shared_folds=False))
    assert table.loc[0, "rest"] == pytest.approx(-0.05)
    assert table.loc[0, "rests"] == []
    hover = gain.gain(table).data[0].hovertext[0]
    assert hover.endswith(f"no rest fold by fold: {SAID}")


def test_stages_of_folds_of_their_own_are_dots_without_lines() -> None:
    def stage(strategy: str, fraction: float, first: int) -> pd.DataFrame:
        rows = [
            {"strategy": strategy, "fraction": fraction, "fold": (index + first) % 2, "seed": 0, "index": index,
             "image": str(index), "group": "", "dice": 0.5 + index / 20, "empty_truth": False, "state": "completed"}
            for index in range(6)
        ]  # fmt: skip
        return pd.DataFrame(rows)

    before, after = stage(AS_PRETRAINED, 0.0, 0), stage("whole network", 80.0, 0)
    joined = pretrained.pretrained_table(pretrained.stages_table(before, after))
    own = pretrained.pretrained_table(pretrained.stages_table(before, stage("whole network", 80.0, 1)))
    assert joined["shared_folds"].all()
    assert not own["shared_folds"].any()
    assert {trace.mode for trace in pretrained.pretrained(joined).data} == {"lines+markers"}
    figure = pretrained.pretrained(own)
    assert [trace.mode for trace in figure.data] == ["markers", "markers", "lines+markers"]
    assert figure.data[0].marker.color == figure.data[1].marker.color
    assert "folds, other ones in each stage" in figure.layout.yaxis.title.text
    assert list(figure.data[-1].y) == [pytest.approx(0.625), pytest.approx(0.625)]  # the same images in all
    assert gallery.summary(before).startswith("mean Dice 0.625")


def test_the_report_pairs_images_and_tests_no_folds(found: Findings) -> None:
    table = comparisons.against_reference(found)
    assert table["p_holm"].isna().all()
    assert table["low"].notna().all()
    assert set(table["images"]) == {IMAGES}
    assert table["note"].str.endswith("so images are paired whatever their fold").all()
    for sheet in (sheets.reference_sheet(found), sheets.shallow_sheet(found)):
        notes = " ".join(sheet.notes)
        assert f"p (Holm): {SAID}, so folds cannot be paired: no test." in notes
        assert "corrected resampled t" not in notes
    text = " ".join(paragraph.text for paragraph in methods(found))
    assert "a split seed of its own for every strategy and fraction" in text
    assert "so images were paired whatever their fold; no test pairs folds. Beside them stands, as in" in text
    assert "corrected resampled t" not in text
    assert "folds of the reference and of the strategy, which have folds of their own, vary" in text
    captions = {drawing.title: drawing.caption for drawing in drawings(found)}
    assert SAID in captions["Transfer or scratch"]


def test_the_table_of_differences_has_no_p_over_folds_and_says_how_images_were_paired(found: Findings) -> None:
    table = pd.read_csv(io.StringIO(tidy_tables(found)["differences"]))
    assert table["p_holm"].isna().all()
    assert table["note"].str.contains("folds of its own").all()
    assert set(table["family"]) == {"reference", "shallow and deep"}


def test_the_terminal_tells_no_difference_of_a_fold(store: Store) -> None:
    stream = io.StringIO()
    print_report(store, "own", Console(file=stream, width=400))
    line = next(line for line in stream.getvalue().splitlines() if "contracting minus expanding" in line)
    assert "fold" not in line.replace("folds of its own", "")
    assert "paired whatever their fold" in stream.getvalue()
