"""Units of a network ranked by their relative gradient norm: what is kept of it, and the table. Needs no torch.

Lee et al. 2022, "Surgical fine-tuning improves adaptation to distribution shifts" (arXiv:2210.11466), call the ratio of
a layer's gradient norm to its parameter norm the relative gradient norm (RGN). A study keeps it fold by fold:

    <root>/<study>/previews/<id>.json    of one fold; the id says what decides it: images, start weights, fold, fraction
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import Any

import pandas as pd

from engine.store import Store

FOLDER = "previews"
COLUMNS = [
    "start", "fraction", "unit", "place", "parameters", "relative", "lowest", "highest", "normalised", "rank", "folds",
]  # fmt: skip
HINT = "A hint, not a result: measured on training images before anything is trained."
TRUTH = "Whether its order holds shows once units have learned alone: the page Layer by layer has the rank correlation."


@dataclass(frozen=True, kw_only=True)
class GradientNorms:
    """Squared norms of each unit's parameters, and of its gradient in each batch."""

    units: tuple[str, ...]
    parameters: tuple[int, ...]
    """Number of parameters of each unit."""
    squared_parameters: tuple[float, ...]
    squared_gradients: tuple[tuple[float, ...], ...]
    """A row per batch, a column per unit."""

    def relative(self, units: Sequence[str]) -> float:
        """||gradient|| / ||parameters|| of these units as one, mean over the batches; 0 where all parameters are 0."""
        places = [self.units.index(unit) for unit in units]
        size = sqrt(sum(self.squared_parameters[place] for place in places))
        norms = [sqrt(sum(row[place] for place in places)) for row in self.squared_gradients]
        return sum(norms) / len(norms) / size if size and norms else 0.0

    @property
    def by_unit(self) -> dict[str, float]:
        """The relative gradient norm of each unit."""
        return {unit: self.relative((unit,)) for unit in self.units}


@dataclass(frozen=True, kw_only=True)
class FoldNorms:
    """What the training images of one fold ask of the units of a network that begins from some start weights."""

    id: str
    """SHA-256 of everything that decides it."""
    data: str
    """SHA-256 of the images."""
    start: str
    """Name of the start weights."""
    start_weights: str
    """Their SHA-256."""
    fraction: float
    fold: int
    images: int
    """Images that train."""
    norms: GradientNorms


def keep(store: Store, study: str, found: FoldNorms) -> None:
    """Put what was found beside the study's results."""
    store.files.write(f"{study}/{FOLDER}/{found.id}.json", json.dumps(asdict(found)).encode())


def kept(store: Store, study: str, norms_id: str) -> FoldNorms | None:
    """What is kept under this id; None where there is nothing, or nothing that can be read."""
    content = store.files.read(f"{study}/{FOLDER}/{norms_id}.json")
    return None if content is None else _read(content)


def all_kept(store: Store, study: str) -> list[FoldNorms]:
    """Everything that is kept of a study and can be read, by start weights, fraction (largest first) and fold."""
    names = [name for name, is_folder in store.files.names(f"{study}/{FOLDER}") if not is_folder]
    found = [kept(store, study, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    return sorted((one for one in found if one), key=lambda one: (one.start, -one.fraction, one.fold))


def _read(content: bytes) -> FoldNorms | None:
    try:
        told: dict[str, Any] = json.loads(content)
        norms = {key: tuple(value) for key, value in told.pop("norms").items()}
        norms["squared_gradients"] = tuple(tuple(row) for row in norms["squared_gradients"])
        return FoldNorms(**told, norms=GradientNorms(**norms))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def normalised(norms: Mapping[str, float]) -> dict[str, float]:
    """The norms divided by the largest; 1 for all where they say nothing (none above 0, or one that is no number)."""
    largest = max(norms.values(), default=0.0)
    if not all(isfinite(norm) for norm in norms.values()) or largest <= 0:
        return dict.fromkeys(norms, 1.0)
    return {unit: norm / largest for unit, norm in norms.items()}


def ranking_table(found: Collection[FoldNorms]) -> pd.DataFrame:
    """A row per unit of each start weights and fraction, in the network's order; columns as `COLUMNS`.

    `relative` is the mean over `folds` of the unit's relative gradient norm, `lowest` and `highest` their range;
    `normalised` is its part of the largest, `rank` counts from 1, the largest first; `place` is the unit's in the
    network, from 0.
    """
    rows: list[dict[str, Any]] = []
    for start, fraction in dict.fromkeys((one.start, one.fraction) for one in found):
        own = [one.norms for one in found if (one.start, one.fraction) == (start, fraction)]
        by_unit = {unit: [norms.relative((unit,)) for norms in own] for unit in own[0].units}
        means = {unit: sum(values) / len(values) for unit, values in by_unit.items()}
        order = sorted(means, key=lambda unit: -means[unit])
        for place, (unit, part) in enumerate(normalised(means).items()):
            rows.append(
                {
                    "start": start, "fraction": fraction, "unit": unit, "place": place,
                    "parameters": own[0].parameters[place], "relative": means[unit], "lowest": min(by_unit[unit]),
                    "highest": max(by_unit[unit]), "normalised": part, "rank": 1 + order.index(unit), "folds": len(own),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)
