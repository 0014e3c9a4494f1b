"""One cell with all that a page says of it: kept until the study changes, and told of where something is gone."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dashboard import data
from dashboard.one_cell import SHOWN, one_cell, tiles
from engine.errors import DataError
from engine.store import Store
from engine.trial import Trial
from tests.made import attempt
from tests.made_store import made_store

RATE, CHOSEN = 1e-4, {"percent": "80 %", "strategy": "block 9", "start": "", "network": ""}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two cells of three folds, in the store that pages read."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    strategies = ("whole network", "block 9")
    made_store(tmp_path / "results", tmp_path / "cache", strategies=strategies, fractions=(80,), folds=(0, 1, 2))
    return Store.at(tmp_path / "results")


def chosen() -> dict[str, str]:
    """The cell's place, with the start weights that the study has."""
    return {**CHOSEN, "start": next(iter(data.choices("made").starts), "")}


def test_a_cell_has_its_folds_beside_the_reference_and_its_images(store: Store) -> None:
    cell = one_cell("made", chosen(), RATE, "dice", None)
    assert cell is not None
    assert cell.is_done
    assert list(cell.folds["strategy"]) == ["block 9"] * 3 + ["whole network"] * 3
    assert set(cell.trials["strategy"]) == {"block 9"}
    assert set(cell.curves["fold"]) == {0, 1, 2}
    assert cell.epochs.endswith(" epochs")
    shown = tiles("made", chosen(), RATE, "dice", None)
    assert [tile.end for tile in shown] == ["worst"] * SHOWN + ["best"] * SHOWN
    values = [float(tile.caption.split("**")[1].removeprefix("Dice ")) for tile in shown]
    assert values[:SHOWN] == sorted(values[:SHOWN])
    assert max(values[:SHOWN]) <= min(values[SHOWN:])


def test_it_is_made_once_and_again_when_the_study_changed(store: Store, tmp_path: Path) -> None:
    planned: list[Trial] = []

    def finished(place: int, trial: Trial) -> bool:
        planned.append(trial)
        return place != 2

    options: dict[str, Any] = {"strategies": ("block 9",), "fractions": (80,), "folds": (0, 1, 2)}
    made_store(tmp_path / "results", tmp_path / "cache", study="filling", finished=finished, **options)
    first = one_cell("filling", chosen(), RATE, "dice", None)
    assert one_cell("filling", chosen(), RATE, "dice", None) is first
    assert first is not None
    assert not first.is_done
    assert first.trials["closed"].sum() == 2
    store.append("filling", attempt(planned[2]))
    again = one_cell("filling", chosen(), RATE, "dice", None)
    assert again is not None
    assert again.is_done


def test_a_cell_that_is_not_planned_is_none(store: Store) -> None:
    assert one_cell("made", {**chosen(), "strategy": "block 1"}, RATE, "dice", None) is None


def test_images_that_are_gone_are_told_of_and_not_for_ever(store: Store, tmp_path: Path) -> None:
    shutil.move(tmp_path / "cache", tmp_path / "away")
    with pytest.raises(DataError, match="no longer in the cache"):
        tiles("made", chosen(), RATE, "dice", None)
    shutil.move(tmp_path / "away", tmp_path / "cache")
    assert len(tiles("made", chosen(), RATE, "dice", None)) == 2 * SHOWN
