"""Fig. 3: the whole network fine-tuned against the same network from scratch, with the folds that failed."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.pairs import coloured, dataset_titles, nothing, pair_panels, pairs_table

PAIR = ("whole network", "from scratch")


def scratch_table(cells: pd.DataFrame) -> pd.DataFrame:
    """A row per data set, fraction and strategy of the two: mean, sd, folds, failed, values; complete cells only."""
    return pairs_table(cells, {"transfer or scratch": PAIR})


def scratch(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """A panel per data set; how many trainings failed stands above the mean that they are left out of."""
    if not table["mean"].notna().any():
        return nothing("Needs complete cells of <i>whole network</i> or <i>from scratch</i>.", dark)
    legend = coloured(("whole network, fine-tuned", "from scratch"), dark, "\u00a0" * 4)
    return pair_panels(table, across="dataset", titles=dataset_titles(table), legend=legend, measure=measure, dark=dark)
