"""How many trials of a study are in which state, as one bar."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.palette import INK, empty, layout

STATES: dict[str, tuple[str, dict[bool, str]]] = {
    "completed": ("completed", {False: "#0b6e8a", True: "#2f93ad"}),
    "not_converged": ("did not converge", {False: "#8a7a2e", True: "#a8953a"}),
    "running": ("running", {False: "#64a4da", True: "#4b86ba"}),
    "waiting": ("waiting", {False: "#dfe4e9", True: "#313a43"}),
    "stopped_early": ("stopped early by the scheduler", {False: "#9aa7b4", True: "#6c7884"}),
    "cancelled": ("stopped by hand", {False: "#66727f", True: "#8d99a5"}),
    "error": ("crashed", {False: "#c0563b", True: "#c0563b"}),
}
"""State of a trial -> what it is called, and its colour on light and dark pages."""
NARROW = 0.05


def counts(states: pd.DataFrame) -> pd.DataFrame:
    """A row per state that some trial is in, in the order of `STATES`: state, trials, part (of all)."""
    found = states["state"].value_counts()
    table = pd.DataFrame({"state": [name for name in STATES if name in found.index]})
    table["trials"] = table["state"].map(found).astype(int)
    return table.assign(part=table["trials"] / max(len(states), 1))


def trial_states(table: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """One stacked bar of `counts`, the number in each part, words in the legend."""
    if table.empty:
        return empty("No trial is planned yet.", dark=dark, height=96)
    figure = go.Figure(
        layout=layout(
            dark=dark, height=96, barmode="stack", showlegend=True, margin={"l": 0, "r": 0, "t": 34, "b": 0},
            legend={"orientation": "h", "x": 0, "y": 1.05, "yanchor": "bottom", "traceorder": "normal"},
        )
    )  # fmt: skip
    for state, trials, part in table.itertuples(index=False):
        name, colours = STATES[state]
        light = state == "waiting" and not dark
        figure.add_bar(
            x=[trials], y=[""], orientation="h", name=f"{name} ({trials})", marker={"color": colours[dark]},
            text=str(trials) if part >= NARROW else "", textposition="inside", insidetextanchor="middle",
            textfont={"color": INK[dark] if light else "#ffffff", "size": 13}, textangle=0,
            hovertemplate=f"{name}: {trials} trials ({100 * part:.0f} %)<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(visible=False, fixedrange=True, range=[0, int(table["trials"].sum())])
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure
