"""Fig. 4: shallow blocks against deep blocks, in both schemes of what is deep, over the fractions; or other pairs."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.pairs import coloured, nothing, pair_panels, pairs_table

PAIRS = {
    "scheme 1": ("contracting", "expanding"),
    "scheme 2": ("all except block 5", "block 5"),
    "scheme 2, finer": ("blocks 1,2,8,9", "blocks 3-7"),
    "within contracting": ("blocks 1,2", "blocks 3,4"),
    "first or last": ("block 1", "block 9"),
}
"""Shallow and deep: scheme 1 goes along the network, scheme 2 from the top of the U down (Amiri et al. 2020, II-B)."""


def pairs_of(cells: pd.DataFrame, reference: str) -> dict[str, tuple[str, str]]:
    """Pairs of a classification study's strategies: the reference against scratch, input against output layers."""
    known = {
        "transfer or scratch": (reference, "from scratch"),
        "input or output": ("input layers", "output layers"),
        "more of the output": ("FC6-8", "FC8"),
        "with a convolution": ("conv5 + FC", "FC6-8"),
        "statistics or output": ("statistics only", "output layers"),
    }
    return {pair: names for pair, names in known.items() if set(names) <= set(cells["strategy"])}


def depth_table(cells: pd.DataFrame, pairs: Mapping[str, tuple[str, str]] = PAIRS) -> pd.DataFrame:
    """A row per data set, pair, fraction and strategy: mean, sd, folds, failed, values; complete cells only."""
    return pairs_table(cells, pairs)


def depth(
    table: pd.DataFrame, pairs: Mapping[str, tuple[str, str]] = PAIRS, *, measure: str = "Dice", dark: bool = False
) -> go.Figure:
    """A column per pair, a row per data set; the first of the two stands left."""
    if not table["mean"].notna().any():
        such = next(iter(pairs.values()), ("input layers", "output layers"))
        return nothing(f"Needs complete cells of two strategies such as <i>{such[0]}</i> and <i>{such[1]}</i>.", dark)
    titles = {pair: f"<b>{pair}</b><br>{coloured(names, dark, '<br>')}" for pair, names in pairs.items()}
    return pair_panels(table, across="pair", down="dataset", titles=titles, measure=measure, dark=dark)
