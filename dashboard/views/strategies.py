"""Strategies: the network drawn for each of them (Fig. 1), and one of them large."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.answer import network_name
from dashboard.figures.network import network, network_table, networks, planned_strategies
from dashboard.views import drawn
from dashboard.views.chart import choose_picture, is_dark
from dashboard.views.choice import put, select, switch
from dashboard.views.switches import choose_colours
from engine import published as paper
from engine.architectures import STRATEGIES, UNITS

OURS, PAPER = "this study", "Amiri et al. 2020"
KEY = """Solid: learns. Hatched: frozen. Hatched above solid: frozen, with adapters that learn. Below each name the
parameters that learn, and their part of all. Arrows: skip connections (right), 2 × 2 max-pooling (down), bilinear
upsampling (up); the 2 × 2 convolution after an upsampling belongs to the block that it opens, the 1 × 1 output
convolution to block 9."""
UNITS_KEY = """Solid: learns. Hatched: frozen. Input on top, output at the bottom. Below each name the parameters that
learn, and their part of all; units by name on hover and in the large drawing."""
SIZES = "Beside each block: **filters** @ the side of its maps, parameters; convolutions on hover."


def page() -> None:
    """Small drawings of all strategies, then the chosen one with its sizes."""
    study = drawn.begin("Strategies")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        masks = study is None or data.task(study) == "segmentation"
        shown = OURS if not masks else switch("Strategies of", [OURS, PAPER], "strategies of") if study else PAPER
        colours = choose_colours()
        choose_picture()
    if study and shown == OURS:
        table, words = _planned(study)
    else:
        table = network_table(list(STRATEGIES["unet"].values()), width=paper.WIDTH, image_size=paper.IMAGE_SIZE)
        words = f"U-Net of {drawn.SOURCE}, width {paper.WIDTH}, {paper.IMAGE_SIZE} × {paper.IMAGE_SIZE} pixels"
    place = st.container()
    st.subheader("One strategy", anchor=False, divider="gray")
    name = select("Strategy", list(dict.fromkeys(table["strategy"])), "strategy", width=300)
    with place:
        figure = networks(table, colours=colours, dark=is_dark(), selected=name)
        alt = "The network drawn small for each strategy; choose one below by its select box"
        note = KEY if table["drawn"].any() else UNITS_KEY
        drawn.draw(figure, table, "strategies", alt=alt, note=note, narrowest=680, on_select=_clicked)
    chosen = table[table["strategy"] == name]
    figure = network(chosen, colours=colours, dark=is_dark())
    told = [SIZES] * bool(chosen["drawn"].all()) + [f"{words}.", chosen["note"].iloc[0].capitalize()]
    drawn.draw(figure, chosen, "one-strategy", alt=f"The network under {name}", note=" ".join(told), narrowest=640)


def _planned(study: str) -> tuple[pd.DataFrame, str]:
    """The strategies of the study at its width and size, and what they are drawn for."""
    plan = data.plan(study)
    own = plan[plan["model"] != "smp"]
    first = (own if len(own) else plan).iloc[0]
    strategies = planned_strategies(plan)
    own_units = [strategy.units for strategy in strategies if strategy.network == "study"]
    model = str(first["model"])
    units = None if model == "unet" else UNITS.get(model) or max(own_units, key=len, default=())
    table = network_table(
        strategies, width=int(first["width"]), image_size=int(first["image_size"]), classes=int(first["classes"]),
        units=units, counts=data.facts(study).get("parameters"),
    )  # fmt: skip
    name = network_name(model, width=int(first["width"]))
    return table, f"{name}, {first['image_size']} × {first['image_size']} pixels"


def _clicked() -> None:
    points = st.session_state["figure strategies"]["selection"]["points"]
    if points:
        put("strategy", points[0]["customdata"][0])
