"""Units chosen on a drawing of the network, by click or by key, as a strategy of the study file."""

from functools import partial

import streamlit as st

from dashboard.figures.network import network, network_table
from dashboard.launch.study_text import flow, read, value_at
from dashboard.views import form
from dashboard.views.chart import config, is_dark
from engine.architectures import UNITS, Strategy, default_image_size, default_width, parse_strategy
from engine.errors import StrategyError


def draw(model: str) -> None:
    """The units as buttons, the network on which they can be clicked too, and a button that adds them as a strategy."""
    with st.expander("Choose units on the network"):
        widget = _widget(model)
        chosen = st.pills("Units that learn", UNITS[model], selection_mode="multi", key=widget)
        units = tuple(unit for unit in UNITS[model] if unit in chosen)
        strategy = Strategy(name="nothing chosen", units=units)
        if not units:
            st.caption("Click on units below, or choose them above. Nothing chosen yet: everything is frozen.")
        else:
            try:
                strategy = parse_strategy(("blocks " if model == "unet" else "units ") + ",".join(units), model)
            except StrategyError as error:
                st.error("  \n".join(error.problems))
            else:
                st.button(f"Add '{strategy.name}'", on_click=_add, args=(strategy.name,), icon=":material/add:")
        tree = read(form.text())
        width = _number(value_at(tree, ("model", "width"))) or default_width(model)
        side = _number(value_at(tree, ("model", "image_size"))) or default_image_size(model)
        table = network_table([strategy], width=width, image_size=side, units=None if model == "unet" else UNITS[model])
        st.plotly_chart(
            network(table, dark=is_dark()), theme=None, config=config("units"), key=f"drawing of {widget}",
            on_select=partial(_clicked, model, widget), selection_mode="points",
            alt="The network; a click on a unit lets it learn or freezes it, as its button above does",
        )  # fmt: skip


def _widget(model: str) -> str:
    count = st.session_state.get(f"units clicked {model}", 0)
    return f"form units {model} {count}" if count else f"form units {model}"


def _clicked(model: str, widget: str) -> None:
    if widget != _widget(model):
        return
    if points := st.session_state[f"drawing of {widget}"]["selection"]["points"]:
        chosen = {*st.session_state[widget]} ^ {points[0]["customdata"][0]}
        # Buttons and drawing are others from then on (as in `choice.put`), so that the same unit can be clicked again.
        st.session_state[f"units clicked {model}"] = st.session_state.get(f"units clicked {model}", 0) + 1
        st.session_state[_widget(model)] = [unit for unit in UNITS[model] if unit in chosen]


def _number(value: object) -> int:
    return int(value) if isinstance(value, int) and value > 0 else 0


def _add(name: str) -> None:
    found = value_at(read(form.text()), ("strategies",))
    names = [] if found is None else [str(found)] if isinstance(found, str) else [str(item) for item in found]
    if name not in names:
        form.put(("strategies",), flow([*names, name]))
        form.replace(form.text())
