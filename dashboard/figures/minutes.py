"""Table III: Dice and minutes of the whole network and of two shallow parts of it, each machine against itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.means import between, means_table, varies
from dashboard.figures.palette import ACCENT, FAINT, GRID, INK, empty, layout
from dashboard.figures.rows import parts, rows

STRATEGIES = ("whole network", "contracting", "all except block 5")
FRACTION = 80.0
PUBLISHED_ON = "TITAN V"
"""The graphics card of Table III."""
NOTE = (
    "Wall time of a training on the machine named; trainings that run side by side slow each other, so minutes of two "
    "machines are compared as parts of the whole network's. Lines: one standard deviation over trainings, no interval."
)
COUNTED = ("collapsed", "mean_all")
"""Of trainings that failed, what is told beside their number."""
ROW, HEADER, TOP, FOOT = 26, 34, 26, 50
"""Pixels of a row, of the name above rows, of the columns' titles, and of the axis."""
COLUMNS = "source dataset machine fraction strategy mean dice_sd folds images low high interval minutes median sd"
COLUMNS += " epochs trainings failed collapsed mean_all"


def machine_name(facts: Mapping[str, Any], hosts: Sequence[str] = ()) -> str:
    """The machine that a study's last run had: its GPU where that trained, else its processor and cores.

    `hosts` are the machines that trained by their own names; further ones are told as such.
    """
    machine, device = facts.get("machine") or {}, (facts.get("settings") or {}).get("device")
    gpu = None if device == "cpu" else machine.get("gpu")
    name = gpu or ", ".join(
        [*([str(machine["processor"])] if machine.get("processor") else []),
         *([f"{machine['cores']} cores"] if machine.get("cores") else [])]
    )  # fmt: skip
    further = len(set(hosts) - {machine.get("host")})
    return f"{name} and {further} other machine{'s' * (further > 1)}" if name and further else str(name)


def minutes_table(
    ours: pd.DataFrame, trials: pd.DataFrame, times: pd.DataFrame, *, machine: str = "", published: str | None = None
) -> pd.DataFrame:
    """A row per data set and strategy of Table III: Dice with its interval, minutes of a training (mean, median, sd).

    `ours` are cells of which complete ones count, `trials` their trainings with `seconds`; `times` is the published
    Table III, of all data sets or of `published`. At 80 % or our largest fraction. `epochs` is the median that were
    run. `relative` is in percent of the whole network's minutes on the same data and machine, which is what machines
    have in common. `failed` trainings did not converge: `mean` is over the other `folds`, `mean_all` over all of them,
    and minutes and epochs count what they took.
    """
    own = every_minutes_table(ours[ours["strategy"].isin(STRATEGIES)], trials, machine=machine)
    own = own[own["fraction"] == (FRACTION if FRACTION in set(own["fraction"]) else own["fraction"].max())]
    theirs = pd.DataFrame(
        [
            {
                "source": "published", "dataset": f"{row.dataset}, Amiri et al. 2020", "machine": PUBLISHED_ON,
                "fraction": FRACTION, "strategy": row.strategy, "mean": row.dice_mean, "folds": 5, "interval": "",
                "minutes": row.minutes_mean, "sd": row.minutes_std, "trainings": 5,
            }
            for row in rows(times)
            if published in (None, row.dataset)
        ],
        columns=COLUMNS.split(),
    )  # fmt: skip
    filled = [part for part in (own, _with_relative(theirs)) if len(part)]
    table = pd.concat(filled, ignore_index=True) if filled else own
    order = {name: place for place, name in enumerate(STRATEGIES)}
    names = {name: place for place, name in enumerate(dict.fromkeys(table["dataset"]))}
    table = table.assign(_set=table["dataset"].map(names), _place=table["strategy"].map(order))
    return table.sort_values(["_set", "_place"], kind="stable").drop(columns=["_set", "_place"]).reset_index(drop=True)


def every_minutes_table(ours: pd.DataFrame, trials: pd.DataFrame, *, machine: str = "") -> pd.DataFrame:
    """A row per complete cell of a study, in the order of the cells; columns as those of `minutes_table`."""
    found = []
    known = [name for name in ("start", "network") if name in ours]
    counted = [name for name in COUNTED if name in ours]
    for cell in rows(means_table(ours, *known, *counted)):
        same = trials[(trials["fraction"] == cell.fraction) & (trials["strategy"] == cell.strategy)]
        for name in known:
            if name in same and getattr(cell, name):
                same = same[same[name].isin(["", getattr(cell, name)])]
        same = same[same["closed"].astype(bool)]
        took = same["seconds"].astype(float) / 60
        epochs = same["epochs_run"].astype(float).median() if "epochs_run" in same else float("nan")
        found.append(
            {
                "source": "ours", "dataset": cell.dataset, "machine": machine, "fraction": cell.fraction,
                "strategy": cell.strategy, "mean": cell.mean, "dice_sd": cell.sd, "folds": cell.value_folds,
                "images": cell.images, "low": cell.low, "high": cell.high, "interval": cell.interval,
                "minutes": took.mean(), "median": took.median(), "sd": took.std(ddof=1), "epochs": epochs,
                "trainings": len(took), "failed": cell.failed,
                **{name: getattr(cell, name) for name in counted},
            }
        )  # fmt: skip
    return _with_relative(pd.DataFrame(found, columns=COLUMNS.split()))


def _with_relative(table: pd.DataFrame) -> pd.DataFrame:
    numbers = ("fraction", "mean", "dice_sd", "images", "low", "high", "minutes", "median", "sd", "epochs", "mean_all")
    table = table.astype(dict.fromkeys(numbers, float))
    places = pd.MultiIndex.from_frame(table[["dataset", "fraction"]])
    whole = table.loc[table["strategy"] == STRATEGIES[0], ["dataset", "fraction", "minutes"]]
    per = 100 / whole.set_index(["dataset", "fraction"])["minutes"].reindex(places).to_numpy(dtype=float)
    return table.assign(relative=table["minutes"] * per, relative_sd=table["sd"] * per)


def table3_table(table: pd.DataFrame, measure: str = "Dice") -> pd.DataFrame:
    """Table III as it is read, of rows of `minutes_table`: numbers, NaN where nobody says them.

    Where trainings failed to converge it also says of which folds the measure is, how many failed, and the mean with
    them; where some collapsed, how many.
    """
    read = {
        "images of": table["dataset"],
        "part": table["fraction"].map("{:g} %".format),
        "strategy": table["strategy"],
        measure: table["mean"],
        f"{measure} sd": table["dice_sd"],
    }
    failed, collapsed = (pd.to_numeric(table[name]).astype("Int64") for name in ("failed", "collapsed"))
    if (failed > 0).any():
        read |= {"failed": failed, f"folds of {measure}": table["folds"], f"{measure}, all folds": table["mean_all"]}
    if (collapsed > 0).any():
        read |= {"collapsed": collapsed}
    read |= {
        "minutes (median)": table["median"],
        "minutes (mean)": table["minutes"],
        "minutes sd": table["sd"],
        "% of whole": table["relative"],
        "epochs": table["epochs"],
        "trainings": table["trainings"],
    }
    return pd.DataFrame(read)


def minutes(table: pd.DataFrame, *, measure: str = "Dice", dark: bool = False) -> go.Figure:
    """Minutes as parts of the whole network's, a row per strategy; minutes and Dice themselves stand beside."""
    shown = table[table["relative"].notna()]
    if not len(shown):
        return empty("Needs complete cells of <i>whole network</i> and its shallow parts.", dark=dark, height=160)
    places, level = [], 0.0
    figure = go.Figure(layout=layout(dark=dark, height=10, hovermode="closest"))
    for dataset, part in parts(shown, "dataset"):
        first, *others = str(dataset).split(", ")
        names = f"<b>{first}</b> {part['fraction'].iloc[0]:g} %"
        about = ", ".join(word for word in (*others, part["machine"].iloc[0]) if word)
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=level + HEADER - 11, showarrow=False, xshift=-138,
            text=f"{names} <span style='font-size:12px;color:{FAINT[dark]}'>{about}</span>", font={"size": 13},
        )  # fmt: skip
        level += HEADER
        places += [level + ROW * (n + 0.5) for n in range(len(part))]
        level += ROW * len(part)
    figure.update_layout(height=level + TOP + FOOT, margin={"l": 142, "r": 196, "t": TOP, "b": FOOT})
    inks = [INK[dark] if row.strategy == STRATEGIES[0] else ACCENT[dark] for row in rows(shown)]
    for row, y, ink in zip(rows(shown), places, inks, strict=True):
        spread = row.relative_sd if not np.isnan(row.relative_sd) else 0.0
        figure.add_shape(
            type="line", x0=row.relative - spread, x1=row.relative + spread, y0=y, y1=y, line={"color": ink, "width": 2}
        )
        sd = "" if np.isnan(row.sd) else f" ({row.sd:.2f})"
        for shift, text in ((10, f"<b>{row.minutes:.2f}</b>{sd}"), (112, f"<b>{row.mean:.3f}</b>{_sd(row.dice_sd)}")):
            figure.add_annotation(
                x=1, xref="paper", xanchor="left", xshift=shift, y=y, text=text, showarrow=False, font={"size": 13}
            )
    for shift, text in ((10, "minutes (sd)"), (112, f"{measure} (sd)")):
        figure.add_annotation(
            x=1, y=0, xref="paper", xanchor="left", xshift=shift, yanchor="bottom", text=text, showarrow=False,
            yshift=2, font={"size": 12, "color": FAINT[dark]},
        )  # fmt: skip
    figure.add_scatter(
        x=shown["relative"], y=places, mode="markers", hovertemplate="%{hovertext}<extra></extra>",
        hovertext=[_hover(row, measure) for row in rows(shown)],
        marker={"size": 11, "color": inks, "symbol": ["diamond" if row.strategy == STRATEGIES[0] else "circle"
                                                      for row in rows(shown)]},
    )  # fmt: skip
    figure.add_vline(x=100, line={"color": FAINT[dark], "width": 1, "dash": "4px,3px"}, layer="below")
    ends = [
        *(shown["relative"] - shown["relative_sd"].fillna(0)),
        *(shown["relative"] + shown["relative_sd"].fillna(0)),
    ]
    figure.update_xaxes(
        range=[max(min(ends) - 8, 0), max(ends) + 8], ticksuffix=" %", gridcolor=GRID[dark],
        title={"text": "minutes of a training, whole network = 100 %", "font": {"size": 13}}, zeroline=False,
        fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(
        range=[level, 0], tickvals=places, ticktext=list(shown["strategy"]), showgrid=False, zeroline=False,
        fixedrange=True, ticklabelstandoff=8,
    )  # fmt: skip
    return figure


def _sd(value: float) -> str:
    return "" if np.isnan(value) else f" ({value:.3f})"


def _hover(row: Any, measure: str) -> str:
    spread = "" if np.isnan(row.sd) else f", sd {row.sd:.2f}"
    return "<br>".join(
        [
            f"<b>{row.strategy}</b> · {row.dataset} {row.fraction:g} %",
            f"{row.minutes:.2f} minutes{spread}, n = {row.trainings:.0f} training{'s' if row.trainings > 1 else ''}",
            *([f"{row.failed:.0f} of them failed to converge"] if row.failed and row.failed > 0 else []),
            f"{row.relative:.0f} % of the whole network's minutes",
            f"{measure} {varies(row.mean, row.dice_sd, row.folds, row.images)}",
            *between(row.low, row.high, row.interval),
            *([f"on {row.machine}"] if row.machine else []),
        ]
    )
