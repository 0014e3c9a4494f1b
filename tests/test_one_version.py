"""Answers that are kept for the latest state of a study only."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from dashboard.one_version import one_version
from dashboard.views.chart import once
from engine.errors import DataError


def test_an_answer_is_computed_once_for_a_version() -> None:
    asked: list[tuple[object, ...]] = []

    @one_version(4)
    def answer(root: str, study: str, version: str, rate: float) -> str:
        asked.append((root, study, version, rate))
        return f"{study} {version} {rate}"

    assert [answer("store", "a", "1", rate) for rate in (0.1, 0.2, 0.1)] == ["a 1 0.1", "a 1 0.2", "a 1 0.1"]
    assert answer("store", "b", "1", 0.1) == "b 1 0.1"
    assert asked == [("store", "a", "1", 0.1), ("store", "a", "1", 0.2), ("store", "b", "1", 0.1)]
    st.cache_resource.clear()
    answer("store", "a", "1", 0.1)
    assert len(asked) == 4


def test_what_a_study_was_before_is_given_back() -> None:
    @one_version(4)
    def table(root: str, study: str, version: str) -> np.ndarray:
        return np.full(3, int(version))

    seen = [weakref.ref(table("store", "a", str(version))) for version in range(20)]
    gc.collect()
    assert [one() is not None for one in seen] == [False] * 19 + [True]
    assert table("store", "a", "19")[0] == 19


def test_those_who_ask_at_the_same_time_wait_for_one_computation() -> None:
    asked, begun, go_on = [], Event(), Event()

    @one_version(4)
    def slow(root: str, study: str, version: str) -> str:
        asked.append(version)
        begun.set()
        assert go_on.wait(10)
        return version

    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(slow, "store", "a", "1") for _ in range(4)]
        assert begun.wait(10)
        go_on.set()
        assert [one.result(10) for one in found] == ["1"] * 4
    assert asked == ["1"]


def test_an_error_is_not_kept() -> None:
    goes: Iterator[DataError | str] = iter([DataError("not there yet"), "there"])

    @one_version(4)
    def answer(root: str, study: str, version: str) -> str:
        found = next(goes)
        if isinstance(found, str):
            return found
        raise found

    with pytest.raises(DataError, match="not there yet"):
        answer("store", "a", "1")
    assert answer("store", "a", "1") == "there"


def test_two_functions_of_one_name_in_two_modules_keep_apart() -> None:
    def made(module: str) -> str:
        def answer(root: str, study: str, version: str) -> str:
            return module

        answer.__module__ = module
        return one_version(4)(answer)("store", "a", "1")

    assert (made("one"), made("two")) == ("one", "two")


def test_pages_give_back_what_arrow_freed() -> None:
    code = "from whichlayers import cli; from dashboard import server; import pyarrow as pa; "
    code += "print(pa.default_memory_pool().backend_name)"
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "system"


def test_a_figure_is_built_once_for_its_numbers() -> None:
    built: list[bool] = []

    def draw(table: pd.DataFrame, *, dark: bool) -> go.Figure:
        built.append(dark)
        return go.Figure(go.Bar(y=table["dice"]))

    table = pd.DataFrame({"dice": [0.5, 0.9], "strategy": ["a", "b"]})
    first = once(draw, table, dark=False)
    shown = first.to_json()
    st.plotly_chart(first, theme=None)
    assert once(draw, table.copy(), dark=False) is first
    assert first.to_json() == shown
    assert once(draw, table, dark=True) is not first
    assert list(once(draw, table.assign(dice=[0.5, 0.8]), dark=False).data[0].y) == [0.5, 0.8]
    assert built == [False, True, False]
