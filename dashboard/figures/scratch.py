"""Fig. 3: the whole network fine-tuned against the same network from scratch, with the folds that failed."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.measures import DICE
from dashboard.figures.pairs import coloured, dataset_titles, nothing, pair_panels, pairs_table
from dashboard.figures.repeats import beside
from dashboard.figures.rows import rows

PAIR = ("whole network", "from scratch")


def scratch_table(cells: pd.DataFrame, repeats: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row per data set, fraction and strategy of the two: mean, sd, folds, failed, values; complete cells only.

    With `repeats` (`figures.repeats.repeat_cells`) also `again`, what became of failed folds that were trained again.
    """
    table = pairs_table(cells, {"transfer or scratch": PAIR})
    return table if repeats is None else beside(table, repeats, DICE)


def scratch(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """A panel per data set; how many trainings failed stands above the mean that they are left out of.

    Folds that were trained again are told of on hover, and in no mean.
    """
    if not table["mean"].notna().any():
        return nothing("Needs complete cells of <i>whole network</i> or <i>from scratch</i>.", dark)
    legend = coloured(("whole network, fine-tuned", "from scratch"), dark, "\u00a0" * 4)
    return pair_panels(table, across="dataset", titles=dataset_titles(table), legend=legend, measure=measure, dark=dark)


def repeats_note(table: pd.DataFrame) -> list[str]:
    """What became of failed folds that were trained again, in words; none where none was."""
    known = table[table["again"] != ""] if "again" in table else table[:0]
    told = [f"{row.dataset}, {row.strategy}, {row.fraction:g} %: {row.again}" for row in rows(known)]
    return [f"In no mean: {'; '.join(told)}."] if told else []
