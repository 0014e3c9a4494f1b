"""One cell of the table: its folds, learning curves, and best and worst test images."""

import re
from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.curves import curves, tidy_curves
from dashboard.figures.folds import folds, with_means
from dashboard.figures.measures import measure_of
from dashboard.figures.mistakes import said_table
from dashboard.figures.shared_folds import has_shared_folds
from dashboard.figures.structures import key
from dashboard.one_cell import SHOWN, OneCell, one_cell, tiles
from dashboard.views import said
from dashboard.views.chart import as_csv, config, is_dark, once
from dashboard.views.choice import select
from dashboard.views.table import Shown
from engine.errors import DataError

ENDS = {
    "worst": "Worst test images",
    "best": "Best test images",
    "normal": "Normal test images with most pixels predicted",
}


def choose(study: str) -> dict[str, str]:
    """Select boxes for the cell, which a click in the table sets too; they also work from the keyboard.

    Gives the percent, strategy, start and network that are chosen; "" where there is nothing to choose.
    """
    choices = data.choices(study)
    st.subheader("One cell", anchor=False, divider="gray")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = {
            "percent": select("Part of the images", choices.percents, "row", width=160),
            "strategy": select("Strategy", choices.strategies, "strategy", width=260),
        }
        several = select("Start weights", choices.starts, "start", width=260) if len(choices.starts) > 1 else ""
        network = select("Network", choices.networks, "network", width=220) if len(choices.networks) > 1 else ""
    return {**chosen, "start": several or next(iter(choices.starts), ""), "network": network}


def draw(study: str, chosen: Mapping[str, str], shown: Shown) -> None:
    """Folds and curves side by side, test images below once all folds of the cell are done."""
    measure, percent, strategy = measure_of(shown.measure), chosen["percent"], chosen["strategy"]
    cell = one_cell(study, chosen, shown.rate, shown.measure, shown.seed)
    if cell is None:
        st.info("This cell is not in the study.")
        return
    shared = has_shared_folds(data.facts(study))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Folds** · {strategy}, {percent}")
        # n and interval without waiting: the page is drawn again once they are there.
        cells = data.marked_cells(study, shown.rate, shown.measure, shown.seed, wait=False)
        title = measure.title(cell.unit)
        by_fold = with_means(cell.folds, _of_row(cells, chosen), title)
        figure = once(folds, by_fold, measure=title, shared=shared, dark=is_dark())
        settings = config("folds", shown.picture)
        st.plotly_chart(figure, theme=None, config=settings, key="folds", alt=f"{measure.name} of each fold")
    with right:
        st.markdown(f"**Learning curves** · {cell.epochs}")
        figure = once(curves, cell.curves, measure=measure.main, loss=data.loss_name(study), dark=is_dark())
        settings = config("curves", shown.picture)
        st.plotly_chart(figure, theme=None, config=settings, key="curves", alt="Loss by epoch, a colour per fold")
        if len(cell.curves):
            name = "-".join([study, "curves", strategy, percent.removesuffix(" %")])
            as_csv("Curves", tidy_curves(cell.curves, cell.trials), re.sub(r"[^\w.+-]+", "_", name))
    if not cell.is_done:
        done = f"{cell.trials['closed'].sum()} of {len(cell.trials)}"
        st.caption(f"{done} trials done. Test images come with the last one.")
        return
    for line in cell.false_positives:
        st.caption(f"{line}; Dice and IoU are of the other images.")
    if measure.task == "segmentation":
        _images(study, chosen, cell, shown)
    else:
        _frames(study, cell.trials)


def _of_row(cells: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """The cells in the row of Table II that the chosen one is in."""
    fraction = float(chosen["percent"].removesuffix(" %"))
    same = (cells["start"] == chosen["start"]) & (cells["network"] == chosen["network"])
    return cells[same & (cells["fraction"] == fraction)]


def _frames(study: str, trials: pd.DataFrame) -> None:
    """Test images of a classification: those that are wrong with most confidence, and those that are just right."""
    if data.dataset(study) is None:
        st.info("The study's images are no longer in the cache: run the study again to read them anew.")
        return
    name = str(trials["strategy"].iloc[0])
    images = data.test_images(study, trials).drop_duplicates("index")
    table = said_table(images.assign(reader=name), [name])
    right = table["right"].map(all).astype(bool)
    for title, part, first in (
        ("Wrong, most confident", table[~right], False), ("Right, least confident", table[right], True),
    ):  # fmt: skip
        if len(part):
            ordered = part.sort_values("confidence", ascending=first, kind="stable")
            st.markdown(f"**{title}** · {len(part)} of {len(table)} test images")
            said.frames(study, ordered.head(2 * SHOWN), [name], columns=2 * SHOWN, key=title.split(",")[0].lower())


def _images(study: str, chosen: Mapping[str, str], cell: OneCell, shown: Shown) -> None:
    try:
        every = tiles(study, chosen, shown.rate, shown.measure, shown.seed)
    except DataError as error:
        st.info(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        table = data.extremes(study, cell.trials, SHOWN, shown.measure)
        st.dataframe(table[["end", "image", "group", "fold", "dice", "iou", "predicted_pixels"]], hide_index=True)
        return
    marks = key(data.facts(study)["data"].get("structures") or ())
    for end, title in ENDS.items():
        if part := [tile for tile in every if tile.end == end]:
            st.html(f"<b>{title}</b> · {marks}")
            with st.container(key=f"{end}-images"):
                for place, tile in zip(st.columns(SHOWN), part, strict=False):
                    place.image(tile.picture, tile.caption, "stretch", output_format="PNG", alt=tile.alt)
