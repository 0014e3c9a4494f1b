"""Cost: the mean against what learns, minutes or megabytes; what is left of the old task; what the rest adds to four
blocks (Fig. 6); Table III.
"""

import streamlit as st

from dashboard import data
from dashboard.figures.cells import Rate
from dashboard.figures.gain import gain, gain_table
from dashboard.figures.kept_task import kept_note, kept_of_cells, kept_task, start_named
from dashboard.figures.minutes import NOTE, PUBLISHED_ON, minutes, minutes_table
from dashboard.figures.palette import Colours
from dashboard.figures.pareto import COSTS, MARGIN, REFERENCE, pareto, pareto_note, pareto_table, with_published_minutes
from dashboard.views import drawn
from dashboard.views.chart import choose_picture, is_dark
from dashboard.views.choice import select, switch
from dashboard.views.switches import choose_colours
from engine import published as paper


def page() -> None:
    """Four blocks; the figures renew themselves while the study runs."""
    study = drawn.begin("Cost")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        rate = drawn.rate(study)
        cost = switch("Cost", list(COSTS), "cost")
        cells = drawn.choose_dataset(drawn.cells(study, rate), key="cost data")
        percents = [f"{value:g} %" for value in sorted(set(cells["fraction"]), reverse=True)]
        percent = select("Part of the images", percents, "row", width=160)
        masks = study is None or data.task(study) == "segmentation"
        colours = choose_colours() if masks else "red-green"
        choose_picture()
    st.subheader("What cheaper strategies reach", anchor=False, divider="gray")
    drawn.renewed(study, _pareto, rate, cost, cells["dataset"].iloc[0], float(percent.removesuffix(" %")))
    if not masks:
        return
    if study:
        st.subheader("What adapting leaves of the old task", anchor=False, divider="gray")
        drawn.renewed(study, _kept, rate, cells["dataset"].iloc[0], float(percent.removesuffix(" %")))
    st.subheader("What blocks 1, 2, 8 and 9 reach, and what the rest adds", anchor=False, divider="gray")
    drawn.renewed(study, _gain, rate, colours)
    st.subheader("Minutes", anchor=False, divider="gray")
    drawn.renewed(study, _minutes, rate)


def _pareto(study: str | None, rate: Rate, cost: str, dataset: str, fraction: float) -> None:
    facts = data.facts(study) if study else {}
    reference, margin = str(facts.get("reference", REFERENCE)), float(facts.get("margin", MARGIN))
    cells = with_published_minutes(drawn.cells(study, rate), paper.table3())
    table = pareto_table(cells[cells["dataset"] == dataset], fraction, cost, reference=reference, margin=margin)
    measure = data.main(study).main if study else "Dice"
    figure = pareto(table, cost=cost, measure=measure, margin=margin, dark=is_dark())
    drawn.draw(figure, table, "pareto", alt=f"Mean {measure} by {cost}", note=pareto_note(table, margin), narrowest=600)


def _kept(study: str, rate: Rate, dataset: str, fraction: float) -> None:
    cells = drawn.cells(study, rate)
    own = cells[(cells["dataset"] == dataset) & (cells["fraction"] == fraction)]
    table, start = kept_of_cells(own, data.pretrained(study)), start_named(own["start"])
    figure = kept_task(table, start=start, dark=is_dark())
    alt = "Dice on the test images against Dice left on the start weights' own images"
    drawn.draw(figure, table, "kept-task", alt=alt, note=kept_note(start=start), narrowest=560)


def _gain(study: str | None, rate: Rate, colours: Colours) -> None:
    table = gain_table(drawn.cells(study, rate))
    alt = "Dice of blocks 1,2,8,9 and what the whole network adds"
    note = f"As Fig. 6, at 80 % of the images or the largest part that was run. Published values: {drawn.SOURCE}."
    drawn.draw(gain(table, colours=colours, dark=is_dark()), table, "gain", alt=alt, note=note, narrowest=560)


def _minutes(study: str | None, rate: Rate) -> None:
    nothing = data.published_table().iloc[:0]
    table = data.minutes(study, rate)[0] if study else minutes_table(nothing, nothing, paper.table3())
    note = f"As Table III. {NOTE} Published: {drawn.SOURCE}, on a {PUBLISHED_ON}."
    drawn.draw(minutes(table, dark=is_dark()), table, "minutes", alt="Minutes of a training", note=note, narrowest=620)
