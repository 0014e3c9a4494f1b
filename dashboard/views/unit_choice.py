"""Units chosen on a drawing of the network, by click or by key, as a strategy of the study file."""

import streamlit as st

from dashboard.figures.network import network, network_table
from dashboard.launch.study_text import flow, read, value_at
from dashboard.views import form
from dashboard.views.chart import config, is_dark
from engine.architectures import UNITS, default_image_size, default_width, parse_strategy
from engine.errors import StrategyError


def draw(model: str) -> None:
    """The units as buttons, the network that they make, and a button that adds them as a strategy."""
    with st.expander("Choose units on the network"):
        chosen = st.pills("Units that learn", UNITS[model], selection_mode="multi", key=f"form units {model}")
        units = [unit for unit in UNITS[model] if unit in chosen]
        if not units:
            st.caption("Nothing chosen yet: everything is frozen.")
            return
        text = ("blocks " if model == "unet" else "units ") + ",".join(units)
        try:
            strategy = parse_strategy(text, model)
        except StrategyError as error:
            st.error("  \n".join(error.problems))
            return
        st.button(f"Add '{strategy.name}'", on_click=_add, args=(strategy.name,), icon=":material/add:")
        tree = read(form.text())
        width = _number(value_at(tree, ("model", "width"))) or default_width(model)
        side = _number(value_at(tree, ("model", "image_size"))) or default_image_size(model)
        table = network_table([strategy], width=width, image_size=side, units=None if model == "unet" else UNITS[model])
        st.plotly_chart(network(table, dark=is_dark()), theme=None, config=config("units", "png"), key="form network")


def _number(value: object) -> int:
    return int(value) if isinstance(value, int) and value > 0 else 0


def _add(name: str) -> None:
    found = value_at(read(form.text()), ("strategies",))
    names = [] if found is None else [str(found)] if isinstance(found, str) else [str(item) for item in found]
    if name not in names:
        form.put(("strategies",), flow([*names, name]))
        form.replace(form.text())
