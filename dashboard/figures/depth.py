"""Fig. 4: shallow blocks against deep blocks, in both schemes of what is deep, over the fractions."""

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


def depth_table(cells: pd.DataFrame) -> pd.DataFrame:
    """A row per data set, pair, fraction and strategy: mean, sd, folds, failed, values; complete cells only."""
    return pairs_table(cells, PAIRS)


def depth(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """A column per pair, a row per data set; the shallower of the two stands left."""
    if not table["mean"].notna().any():
        return nothing("Needs complete cells of two strategies such as <i>contracting</i> and <i>expanding</i>.", dark)
    titles = {pair: f"<b>{pair}</b><br>{coloured(names, dark, '<br>')}" for pair, names in PAIRS.items()}
    return pair_panels(table, across="pair", down="dataset", titles=titles, measure=measure, dark=dark)
