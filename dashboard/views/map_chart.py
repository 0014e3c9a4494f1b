"""The maps as charts side by side: made while the page stays alive, with the frame under the pointer."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, embedding_maps, thumbnails
from dashboard.figures.cells import for_file
from dashboard.figures.embedding_map import Look, about, embedding_map, selection, spread
from dashboard.figures.map_region import Region
from dashboard.map_maker import Making, MapTask
from dashboard.views import hover_frame
from dashboard.views.chart import Picture, config, is_dark
from engine.embeddings import EmbeddingMap, umap_neighbours

TITLES = {"before": "Start weights as they are", "after": "After fine-tuning"}
BUTTONS = [["toImage"], ["zoom2d", "pan2d", "select2d", "lasso2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]]
REGION = "map region"
"""Where the session keeps the region that was chosen last."""


def made(tasks: Mapping[str, MapTask]) -> dict[str, EmbeddingMap] | None:
    """The maps; None, with how far they are, while one of them is being made."""
    found = {side: embedding_maps.embedding_map(task) for side, task in tasks.items()}
    ready = {side: one for side, one in found.items() if isinstance(one, EmbeddingMap)}
    if len(ready) == len(found):
        return ready
    st.fragment(_wait, run_every=0.7)(tasks)
    return None


def _wait(tasks: Mapping[str, MapTask]) -> None:
    found = {side: embedding_maps.embedding_map(task) for side, task in tasks.items()}
    if all(isinstance(one, EmbeddingMap) for one in found.values()):
        st.rerun()
    for side, one in found.items():
        if not isinstance(one, Making):
            continue
        if one.error:
            st.error(f"{TITLES[side]}: {one.error}")
            if st.button("Try again", key=f"again {side}"):
                embedding_maps.try_again(tasks[side])
        else:
            st.progress(min(one.part, 1.0), f"{TITLES[side]}: {one.text}; made once, then kept with the study")


def draw(
    study: str,
    tables: Mapping[str, pd.DataFrame],
    found: Mapping[str, EmbeddingMap],
    by: str,
    looks: Mapping[str, Look],
    *,
    pictures: bool,
) -> None:
    """A chart per map; what is chosen in one is chosen in the other, and in those that are looked at later."""
    region = chosen()
    for column, (side, table) in zip(st.columns(len(tables), gap="medium"), tables.items(), strict=True):
        key = _key(side, found[side], table, by, pictures)
        with column:
            # Nothing that may need a line of its own: the maps stand at the same height.
            st.markdown(f"**{TITLES[side]}** · {about(table)}")
            figure = embedding_map(
                table, by, looks, method=found[side].method, dark=is_dark(), chosen=region.drawn_with(key),
                pictures=embedding_maps.pictures(study, spread(table)) if pictures else None,
            )  # fmt: skip
            st.plotly_chart(
                figure, theme=None, key=key, on_select=partial(_choose, key), config=_config(f"map-{side}"),
                selection_mode=("points", "box", "lasso"), alt=f"Map of the embedding: {TITLES[side].lower()}",
            )  # fmt: skip
            st.caption(_told(found[side]))
            st.download_button(
                "CSV", partial(for_file, table), f"{study}-map-{side}.csv", "text/csv", key=f"file map {side}",
                help="The points of this map", icon=":material/download:", on_click="ignore", type="tertiary",
            )  # fmt: skip
    hover_frame.show(thumbnails.address(data.facts(study)["data"]["fingerprint"]))


def chosen() -> Region:
    """The region that was chosen last."""
    found: Region = st.session_state.setdefault(REGION, Region())
    return found


def clear() -> None:
    """Nothing is chosen any more."""
    st.session_state[REGION] = chosen().clear()


def _key(side: str, found: EmbeddingMap, table: pd.DataFrame, by: str, pictures: bool) -> str:
    """Of a chart: another map, other points or other colours are another chart, in which nothing is chosen yet."""
    drawn = (found.places.tobytes(), table["index"].to_numpy().tobytes(), by, pictures, chosen().cleared)
    return f"figure map-{side}-{hashlib.sha256(repr(drawn).encode()).hexdigest()[:12]}"


def _choose(key: str) -> None:
    frames = selection(st.session_state[key]["selection"]["points"])
    st.session_state[REGION] = chosen().heard(key, tuple(frames))


def _config(name: str) -> dict[str, Any]:
    picture: Picture = "svg" if st.session_state.get("chosen picture") == "SVG" else "png"
    return {**config(name, picture), "modeBarButtons": BUTTONS, "scrollZoom": True, "displayModeBar": True}


def _told(found: EmbeddingMap) -> str:
    near = f"{umap_neighbours(found.perplexity)} neighbours" if found.method == "UMAP" else "perplexity {:.3g}"
    how = f"{near.format(found.perplexity)}, seed {found.seed}" if found.perplexity else "no neighbours"
    note = f" {found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    return (
        f"{found.method} of 50 principal components, {how}, made in {found.seconds:.1f} s. Who is near whom means "
        f"something; directions and far distances do not.{note}"
    )
