"""Image tiles in rows of columns, with what stands under each."""

from collections.abc import Sequence

import numpy as np
import streamlit as st


def grid(
    pictures: Sequence[np.ndarray], captions: Sequence[str], *, columns: int, key: str, heads: Sequence[str] = ()
) -> None:
    """The tiles from left to right, `columns` in a row, under their `heads`; on small screens two or three in a row."""
    part = 100 / (3 if columns % 2 else 2)
    narrow = f".st-key-{key}-images [data-testid='stColumn'] {{min-width: calc({part:.2f}% - 0.75rem)}}"
    st.html(f"<style>@media (max-width: 640px) {{{narrow}}}</style>")
    with st.container(key=f"{key}-images"):
        if heads:
            for column, head in zip(st.columns(columns), heads, strict=True):
                column.markdown(head)
        for start in range(0, len(pictures), columns):
            row = range(start, min(start + columns, len(pictures)))
            for column, place in zip(st.columns(columns), row, strict=False):
                alt = captions[place].replace("*", "").replace("  \n", ", ")
                column.image(pictures[place], captions[place], "stretch", alt=alt)
