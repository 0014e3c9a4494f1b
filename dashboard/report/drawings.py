"""The figures of a report, each for light and dark pages. A figure without anything to show is left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.agreement import order, order_note, order_table, ranks, ranks_table, stands_for
from dashboard.figures.cells import in_table
from dashboard.figures.comparison import published_cells
from dashboard.figures.depth import depth, depth_table
from dashboard.figures.gain import gain, gain_table
from dashboard.figures.kept_task import kept_note, kept_of_cells, kept_task, start_named
from dashboard.figures.layers import NOTE as LAYERS
from dashboard.figures.layers import layers, layers_table
from dashboard.figures.learning_rates import NOTE, has_several, learning_rates, learning_rates_table
from dashboard.figures.network import network_table, networks, planned_strategies
from dashboard.figures.pairs import spread_note
from dashboard.figures.pareto import pareto, pareto_note, pareto_table
from dashboard.figures.scratch import repeats_note, scratch, scratch_table
from dashboard.figures.shared_folds import OWN, has_shared_folds
from dashboard.report.findings import Findings
from engine import published as paper
from engine.trial import AS_PRETRAINED


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report."""

    title: str
    caption: str
    table: pd.DataFrame
    """Its numbers, as its table function makes them."""
    light: go.Figure
    dark: go.Figure
    widest: int = 0
    """Pixels that it is drawn in at most; 0 for the page's width."""


Draw = Callable[[bool], go.Figure]
"""Draws for a dark page, or a light one."""
FEWEST_STEPS = 3
"""Places of a series of layers from which a line is drawn."""


def drawings(findings: Findings) -> list[Drawing]:
    """Networks, order against the paper, transfer or scratch, depth, layers, gain, rates, cost: those with data."""
    made = (*_networks(findings), *_orders(findings), *_pairs(findings), *rates(findings), *_costs(findings))
    return [
        Drawing(title=title, caption=caption, table=table, light=draw(False), dark=draw(True))
        for title, caption, table, draw in made
    ]


Made = Iterator[tuple[str, str, pd.DataFrame, Draw]]
"""Title, caption, numbers and the figure."""


def _networks(findings: Findings) -> Made:
    plan = findings.plan
    if str(plan["model"].iloc[0]) != "unet":
        return
    width, size, classes = (int(plan[name].max()) for name in ("width", "image_size", "classes"))
    table = network_table(
        planned_strategies(plan), width=width, image_size=size, classes=classes, counts=findings.facts.get("parameters")
    )
    caption = "What learns is solid, what stays frozen hatched; below each name the parameters that learn."
    yield "The strategies", caption, table, lambda dark: networks(table, dark=dark)


def _orders(findings: Findings) -> Made:
    stand_ins = stands_for(findings.facts, findings.cells)
    if not stand_ins:
        return
    published = published_cells(paper.table2(), width=paper.WIDTH, dataset=str(findings.facts["data"]["compare_with"]))
    agreement = order_table(findings.cells, published, stand_ins, images=findings.images)
    if agreement["tau"].notna().any():
        caption = order_note(agreement)
        yield "Order of the strategies, ours and published", caption, agreement, _drawn(order, agreement)
    places = ranks_table(findings.marked_cells, published, stand_ins)
    if len(places.dropna(subset=["place_ours"])) > 1:
        caption = "Ranks by mean test Dice, highest first. Strategies that moved three places or more are orange."
        yield "Ranks, published and ours", caption, places, _drawn(ranks, places)


def _pairs(findings: Findings) -> Made:
    cells = findings.marked_cells
    transfer = scratch_table(cells, findings.repeats_of(findings.main))
    lead_of_transfer = "The whole network from start weights and from random ones, over the fractions."
    for title, lead, table, draw in (
        ("Transfer or scratch", " ".join([lead_of_transfer, *repeats_note(transfer)]), transfer, scratch),
        ("Shallow or deep", "In both schemes of what is deep: along the network, and from the top of the U down.",
         depth_table(cells), depth),
    ):  # fmt: skip
        if _both_sides(table):
            yield title, f"{lead} {spread_note(table)}".strip(), table, _drawn(draw, table)
    for dataset, part in _by_dataset(layers_table(cells)):
        if part.groupby(["direction", "grain"])["block"].nunique().max() >= FEWEST_STEPS:
            yield f"Layer by layer, {dataset}", LAYERS, part, _drawn(layers, part)
    reached = gain_table(cells)
    if len(reached):
        caption = "Mean test Dice that four outer blocks reach alone, and what learning all the others adds to it."
        caption += "" if has_shared_folds(findings.facts) else f" Of means, not fold by fold: {OWN}."
        yield "What the outer blocks reach", caption, reached, _drawn(gain, reached)


def rates(findings: Findings) -> Made:
    """What each strategy reaches at each learning rate, where there are several."""
    plan, measure = in_table(findings.plan), findings.main
    if has_several(plan):
        name = str(findings.facts["data"]["name"])
        table = learning_rates_table(plan, findings.attempts, name, measure=measure.column)
        if has_several(table):
            yield "Learning rate", NOTE, table, lambda dark: learning_rates(table, measure=measure.main, dark=dark)


def _costs(findings: Findings) -> Made:
    cells = findings.marked_cells
    for row in findings.rows:
        own = cells[(cells["dataset"] == row.dataset) & (cells["fraction"] == row.fraction)]
        table = pareto_table(own, row.fraction, reference=findings.reference, margin=findings.margin)
        if len(table) > 1:
            note = pareto_note(table, findings.margin)
            yield f"Dice and trained parameters, {row.label}", note, table, _cost(table, findings.margin)
        left, start = kept_of_cells(own, findings.pretrained), start_named(own["start"])
        if (left["strategy"] != AS_PRETRAINED).any():
            title = f"What adapting leaves of the old task, {row.label}"
            yield title, kept_note(start=start), left, _kept(left, start)


def _cost(table: pd.DataFrame, margin: float) -> Draw:
    return lambda dark: pareto(table, margin=margin, dark=dark)


def _kept(table: pd.DataFrame, start: str) -> Draw:
    return lambda dark: kept_task(table, start=start, dark=dark)


def _drawn(draw: Callable[..., go.Figure], table: pd.DataFrame) -> Draw:
    return lambda dark: draw(table, dark=dark)


def _both_sides(table: pd.DataFrame) -> bool:
    known = table[table["mean"].notna()]
    return bool((known.groupby(["dataset", "pair", "fraction"])["side"].nunique() == 2).any())


def _by_dataset(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, table[table["dataset"] == name]) for name in dict.fromkeys(table["dataset"])]
