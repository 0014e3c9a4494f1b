"""Worst and best test images, for a report that is asked for them: they are images of patients."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dashboard.figures.outlines import extremes_table
from dashboard.figures.rows import parts, rows
from dashboard.figures.structures import key, one_each, tile, unpacked
from dashboard.report.findings import Findings, Row
from dashboard.report.readers import Readers
from dashboard.report.words import value
from engine.datasets.cached import load_cached
from engine.datasets.dataset import Dataset

EACH = 4
"""Worst images of a row of Table II that are shown, and best ones."""
LONGEST = 360
"""Pixels of a picture's longer side."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A test image with truth and prediction: outlines, or the class in the caption."""

    caption: str
    """Its Dice (or class) and fold; no name, which may be a patient's."""
    source: str
    """A data URI."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Test images of one cell."""

    title: str
    """`BUS, 80 %: whole network`; of classes the reader."""
    ends: tuple[tuple[str, tuple[Picture, ...]], ...]
    """worst, best and normal images, those that there are."""


def strips(findings: Findings, cache: Path) -> list[Strip]:
    """The worst and best test images of one cell in each row: the recommended one, else the reference.

    Of classes the mistakes and the right answers that the networks told of were surest of. Raises DataError where the
    study's images are not in the cache.
    """
    dataset = load_cached(findings.facts["data"]["fingerprint"], cache)
    if findings.main.task == "classification":
        readers = Readers(findings=findings)
        return [_surest(readers, name, what, dataset) for name, what in readers.looked_at.items()]
    return [strip for row in findings.rows if (strip := _strip(findings, row, dataset))]


def colour_key(findings: Findings) -> str:
    """What the outlines' colours mean, in HTML."""
    return key([str(name) for name in findings.facts["data"].get("structures") or []])


def _strip(findings: Findings, row: Row, dataset: Dataset) -> Strip | None:
    done = list(row.cells.loc[row.cells["complete"].astype(bool) & row.cells["mean"].notna(), "strategy"])
    recommended = row.recommendation.strategy if row.recommendation else None
    wanted = (recommended, findings.reference, *done)
    strategy = next((name for name in wanted if name in done), None)
    if strategy is None:
        return None
    own = findings.trials[
        (findings.trials["strategy"] == strategy)
        & (findings.trials["fraction"] == row.fraction)
        & findings.trials["start"].isin([row.start, ""])
        & findings.trials["converged"].astype(bool)
    ]
    images = findings.store.test_images(findings.study, list(own["id"]), masks=True)
    shown = extremes_table(images, own, EACH).rename(columns={"index": "place"})
    ends = [(str(end), tuple(_picture(one, dataset) for one in rows(part))) for end, part in parts(shown, "end")]
    return Strip(title=f"{row.label}: {strategy}", ends=tuple(ends))


def _surest(readers: Readers, name: str, what: str, dataset: Dataset) -> Strip:
    own = readers.by_name[name].drop_duplicates("index")
    own = own.assign(sure=[max(known) for known in own["probabilities"]]).sort_values("sure", ascending=False)
    ends = {"surest mistakes": own[own["accuracy"] < 1], "surest right answers": own[own["accuracy"] == 1]}
    shown = ((end, tuple(_classified(one, dataset) for one in rows(part.head(EACH)))) for end, part in ends.items())
    return Strip(title=f"{name} ({what})", ends=tuple((end, pictures) for end, pictures in shown if pictures))


def _classified(one: Any, dataset: Dataset) -> Picture:
    about = dataset.table.iloc[one.index]
    aspect = float(about["source_width"]) / float(about["source_height"])
    drawn = tile(np.asarray(dataset.images[one.index]), None, None, aspect=aspect, longest=LONGEST)
    said = f"{one.label}, right" if one.accuracy == 1 else f"{one.label}, said {one.predicted}"
    return Picture(caption=f"{said} ({value(one.sure, 2)}), fold {one.fold}", source=_data_uri(drawn))


def _picture(one: Any, dataset: Dataset) -> Picture:
    about = dataset.table.iloc[one.place]
    drawn = tile(
        np.asarray(dataset.images[one.place]),
        one_each(np.asarray(dataset.masks[one.place]), max(len(dataset.structures), 1)),
        unpacked(one.predicted_mask, dataset.masks.shape[1]),
        aspect=float(about["source_width"]) / float(about["source_height"]),
        longest=LONGEST,
    )
    said = f"normal, {one.predicted_pixels:,} pixels predicted" if one.empty_truth else f"Dice {value(one.dice, 2)}"
    return Picture(caption=f"{said}, fold {one.fold}", source=_data_uri(drawn))


def _data_uri(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
