"""Rows of a table one by one, and in groups."""

from collections.abc import Iterator
from typing import Any

import pandas as pd


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """Named tuples of the table's rows, with `Index`; their fields are Any, which pandas' types do not say."""
    yield from table.itertuples()


def parts(table: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """(value, its rows) for each value of a column, or tuple of values of several, in the order of the table."""
    yield from table.groupby(by, sort=False)
