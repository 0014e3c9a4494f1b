"""Published: the paper's tables and claims, and whether this study's strategies come out in its order."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.figures.agreement import NOTHING, order, order_note, ranks, ranks_table, stand_in, stands_for
from dashboard.figures.cells import Rate
from dashboard.figures.claims import claims
from dashboard.figures.comparison import beside, difference_cells, why_no_difference
from dashboard.figures.palette import Colours
from dashboard.figures.table2 import table2, table2_table
from dashboard.views import drawn, export, published_classes, table
from dashboard.views.chart import Picture, as_csv, choose_picture, config, is_dark
from dashboard.views.switches import choose_colours
from engine import published as paper

TITLE = f"{paper.CITATION.authors}: *{paper.CITATION.title}*. {paper.CITATION.journal}, {paper.CITATION.year}."


def page() -> None:
    """The study against the paper first, where it names a data set; then the paper's own tables and claims."""
    study = drawn.begin("Published")
    if study and data.task(study) == "classification":
        published_classes.page()
        return
    st.markdown(f"{TITLE} [doi:{paper.CITATION.doi}]({paper.CITATION.url})")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        rate = drawn.rate(study)
        colours = choose_colours()
        picture = choose_picture()
    if study and (named := stand_in(data.facts(study))):
        st.subheader(named, anchor=False, divider="gray")
        drawn.renewed(study, _against, rate)
        _difference(study, rate, colours, picture)
    st.subheader("Table I", anchor=False, divider="gray")
    st.dataframe(_table1(), width="content")
    st.caption(f"Images in training, validation and test sets by part of the images. {drawn.SOURCE}.")
    st.subheader("Table II", anchor=False, divider="gray")
    table.published(colours, picture)
    st.subheader("Table III", anchor=False, divider="gray")
    st.dataframe(_table3(), width="content")
    st.caption(f"Dice at 80 % of the images, and minutes (sd) of one fold's training on a TITAN V. {drawn.SOURCE}.")
    st.subheader("What the paper says, and whether its own tables agree", anchor=False, divider="gray")
    st.html(claims(paper.claims()))
    if study:
        export.buttons(study, rate, colours)


def _against(study: str, rate: Rate) -> None:
    agreement = data.agreement(study, rate)
    if not agreement["tau"].notna().any():
        st.info(" ".join([NOTHING, *(f"{reason}." for reason in dict.fromkeys(agreement["reason"]) if reason)]))
        return
    alt = "Kendall's tau-b between this study's order of the strategies and the published one, with its ceiling"
    drawn.draw(order(agreement, dark=is_dark()), agreement, "order", alt=alt, note=order_note(agreement), narrowest=560)
    facts, cells = data.facts(study), data.marked_cells(study, rate, "dice")
    theirs = data.published_table(facts["data"]["compare_with"])
    places = ranks_table(cells, theirs, stands_for(facts, cells))
    note = "Ranks by mean test Dice, highest first; orange: moved three places or more. Without a mean, no rank."
    alt = "Ranks of the strategies, published and of this study"
    drawn.draw(ranks(places, across=3, dark=is_dark()), places, "ranks", alt=alt, note=note, narrowest=1040)


def _difference(study: str, rate: Rate, colours: Colours, picture: Picture) -> None:
    facts, ours = data.facts(study), data.cells(study, rate, "dice")
    why = why_no_difference(facts, "dice", sizes=paper.SIZES, width=paper.WIDTH, image_size=paper.IMAGE_SIZE)
    if why:
        st.info(why, icon=":material/difference:")
        return
    cells = difference_cells(ours, beside(ours, data.published_table(facts["data"]["compare_with"])))
    figure = table2(table2_table(cells, kind="difference"), colours=colours, dark=is_dark())
    alt = "Table II, ours minus published"
    st.plotly_chart(figure, theme=None, config=config("difference", picture), key="difference", alt=alt)
    as_csv("Difference", cells, f"{study}-difference")


def _table1() -> pd.DataFrame:
    sizes = paper.table1()
    told = sizes[["training", "validation", "test"]].astype(str).agg(" / ".join, axis=1)
    named = sizes["dataset"] + ", " + sizes["size"].astype(str) + " images"
    table = sizes.assign(told=told, named=named, part=sizes["train_percent"].map("{:g} %".format))
    wide = table.pivot(index="named", columns="part", values="told")
    return wide.loc[list(dict.fromkeys(named)), list(dict.fromkeys(table["part"]))]


def _table3() -> pd.DataFrame:
    times = paper.table3()
    dice, minutes, sd = (times[name] for name in ("dice_mean", "minutes_mean", "minutes_std"))
    told = dice.map("{:.3f} in ".format) + minutes.map("{:.2f} (".format) + sd.map("{:.2f}) min".format)
    table = times.assign(told=told).pivot(index="dataset", columns="strategy", values="told")
    return table.loc[list(dict.fromkeys(times["dataset"])), list(dict.fromkeys(times["strategy"]))]
