"""The counts of regions of agreement, ours and published, and the frames of one with what each reader said."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import answers
from dashboard.figures import mistakes
from dashboard.figures.agreement_rows import published_rows
from dashboard.figures.cells import for_file
from dashboard.views import said
from engine.published import cheng2017

PAGE, COLUMNS = 18, 6


def counts(shown: pd.DataFrame) -> None:
    """Our regions as rows, and below them those that a paper gives."""
    percent = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(shown, hide_index=True, width="stretch", height="content", column_config={"part": percent})
    paper = cheng2017.CITATION
    st.caption(
        f"{paper.short}, {cheng2017.TEST_IMAGES:,} frames of eleven abdominal views, [doi:{paper.doi}]({paper.url}). "
        "Regions that its text does not give stay missing."
    )
    published = published_rows(cheng2017.regions(), cheng2017.TEST_IMAGES)
    right = {name: st.column_config.TextColumn(alignment="right") for name in ("frames", "part")}
    st.dataframe(published, hide_index=True, width="stretch", height="content", column_config=right)


def frames(study: str, table: pd.DataFrame, readers: Sequence[str], region: str, places: Sequence[int]) -> None:
    """The frames of a region, the most confident first, page by page, with the numbers as a file."""
    each = pd.concat([answers.of_reader(table, name) for name in readers])
    found = mistakes.said_table(each, readers)
    found = found[found["index"].isin(places)]
    found = found.sort_values(["confidence", "index"], ascending=[False, True], kind="stable", ignore_index=True)
    st.subheader(f"Right for {region} · {len(found):,} frame{'s' if len(found) != 1 else ''}", anchor=False)
    if not len(found):
        st.caption("No frame is in this region.")
        return
    start = said.turn(len(found), PAGE, "agreement page")
    said.frames(study, found.iloc[start : start + PAGE], readers, columns=COLUMNS, key="agreement")
    file = for_file(mistakes.for_file(found, readers, answers.classes(study)))
    st.download_button(
        "Frames (CSV)", file, f"{study}-agreement.csv", "text/csv", icon=":material/download:", on_click="ignore",
        type="tertiary",
    )  # fmt: skip
