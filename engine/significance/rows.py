"""Rows of a table one by one, and in groups."""

from collections.abc import Iterator
from typing import Any

import pandas as pd


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table's rows by column name; values are Any, which pandas' types do not say."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def parts(table: pd.DataFrame, by: list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """(values, its rows) for each combination of values of several columns, in the order of the table."""
    yield from table.groupby(by, sort=False)
