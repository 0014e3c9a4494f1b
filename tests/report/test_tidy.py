"""Results as tables for programs."""

import io
import zipfile
from collections.abc import Callable

import pandas as pd
import pytest

from dashboard.report.findings import Findings
from dashboard.report.tidy import tidy_tables, zipped
from tests.report.conftest import STRATEGIES


def test_the_tidy_tables_hold_every_cell_fold_image_and_difference(read: Callable[[str], Findings]) -> None:
    found = read("three")
    tables = {name: pd.read_csv(io.StringIO(text)) for name, text in tidy_tables(found).items()}
    assert list(tables) == ["cells", "folds", "images", "differences", "tukey"]
    assert len(tables["cells"]) == 3 * 2 * len(STRATEGIES)
    assert set(tables["cells"]["measure"]) == {"Dice", "IoU", "HD95"}
    assert len(tables["folds"]) == 3 * 3 * 2 * len(STRATEGIES)
    assert len(tables["images"]) == len(found.images)
    assert set(tables["differences"]["family"]) == {"reference", "shallow and deep"}
    by_fold = tables["folds"].query("measure == 'Dice' and fraction == 80 and strategy == 'contracting'")["value"]
    assert by_fold.mean() == pytest.approx(
        found.cells.set_index(["fraction", "strategy"]).loc[(80, "contracting"), "mean"]
    )


def test_the_tidy_tables_of_an_unfinished_study_tell_nothing_of_test_images(read: Callable[[str], Findings]) -> None:
    tables = {name: pd.read_csv(io.StringIO(text)) for name, text in tidy_tables(read("begun")).items()}
    assert tables["cells"]["mean"].isna().all()
    assert tables["folds"]["value"].isna().all()
    assert not len(tables["images"])
    assert not len(tables["differences"])


def test_the_archive_is_the_same_whenever_it_is_made(read: Callable[[str], Findings]) -> None:
    tables = tidy_tables(read("one"))
    assert zipped(tables) == zipped(tables)
    with zipfile.ZipFile(io.BytesIO(zipped(tables))) as archive:
        assert archive.namelist() == ["cells.csv", "folds.csv", "images.csv", "differences.csv", "tukey.csv"]
        assert archive.read("cells.csv").decode() == tables["cells"]
