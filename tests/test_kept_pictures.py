"""Worst and best test images of a cell, outlined: masks are read once, whatever they are ordered by."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dashboard import data, kept
from dashboard.figures.structures import unpacked
from engine.store import Store
from tests.made_store import made_store

NUMBER = 3


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The trainings of one cell, in the store that pages read."""
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    made_store(tmp_path / "results", tmp_path / "cache", strategies=("block 9",), fractions=(80,), image_size=32)
    return data.trials("made", 1e-4)


def read(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Ids of which test images are read from now on, with masks."""
    asked, plain = [], Store.test_images

    def counted(self: Store, study: str, ids: Any, *arguments: Any, masks: bool = False, **more: Any) -> pd.DataFrame:
        if masks:
            asked.append(set(ids))
        return plain(self, study, ids, *arguments, masks=masks, **more)

    monkeypatch.setattr(Store, "test_images", counted)
    return asked


def test_pictures_are_those_of_the_chosen_images_in_their_order(cell: pd.DataFrame) -> None:
    shown = data.extremes("made", cell, NUMBER, "dice")
    pictures = data.pictures("made", cell, NUMBER, "dice")
    assert pictures is not None
    assert len(pictures) == len(shown) == 2 * NUMBER
    assert list(shown["end"]) == ["worst"] * NUMBER + ["best"] * NUMBER
    source = data.dataset("made")
    assert source is not None
    masks = data.test_images("made", cell).set_index(["id", "number", "index"])["predicted_mask"]
    for picture, place in zip(pictures, shown[["id", "number", "index"]].itertuples(index=False), strict=True):
        expected = kept.outlined(source, place.index, prediction=unpacked(masks.loc[tuple(place)], 32))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), expected)


def test_another_measure_reads_no_mask_again(cell: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = read(monkeypatch)
    first = data.pictures("made", cell, NUMBER, "dice")
    assert len(asked) == 1
    assert asked[0] <= set(cell["id"])
    again = data.pictures("made", cell, NUMBER, "iou")  # the same order: IoU rises with Dice
    assert len(asked) == 1
    assert first is not None
    assert again is not None
    assert first == again
    more = data.pictures("made", cell, NUMBER + 1, "dice")
    assert len(asked) == 2
    assert more is not None
    assert more[0] == first[0]


def test_pictures_are_kept_up_to_a_number(cell: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PICTURES", 4)
    pictures = data.pictures("made", cell, NUMBER, "dice")
    assert pictures is not None
    assert len(pictures) == 2 * NUMBER
    assert len(kept._outlined()) <= 4
