"""Numbers and lists as in a paper, and steps of colour."""

import pytest

from dashboard.report import words
from dashboard.report.colours import STEPS, step, step_colours


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (words.number(13), "thirteen"),
        (words.number(1400), "1,400"),
        (words.counted(1, "fold"), "one fold"),
        (words.counted(12_345, "image", digits=True), "12,345 images"),
        (words.listed(["a"]), "a"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed(["blocks 1,2", "b", "c"]), "blocks 1,2; b; and c"),
        (words.power(1e-4), "10⁻⁴"),
        (words.power(3e-4), "3 × 10⁻⁴"),
        (words.power(0.01), "10⁻²"),
        (words.power(1.17e-4), "1.17 × 10⁻⁴"),
        (words.value(-0.0123, sign=True), "−0.012"),
        (words.value(0.0001, sign=True), "0.000"),
        (words.value(-0.0001, sign=True), "0.000"),
        (words.value(None), "–"),
        (words.interval(-0.01, 0.02), "[−0.010, +0.020]"),
        (words.interval(0.71, 0.82, sign=False), "[0.710, 0.820]"),
        (words.interval(None, 1.0), "–"),
        (words.probability(0.0002), "< 0.001"),
        (words.probability(0.0421), "0.042"),
        (words.short(0.00234), "0.0023"),
        (words.short(1234.0), "1,234"),
        (words.html_of("**a** <b>  \nc `d`"), "<b>a</b> &lt;b&gt;<br>c <code>d</code>"),
    ],
)
def test_numbers_and_lists_are_written_as_in_a_paper(said: str, shown: str) -> None:
    assert said == shown


def test_steps_of_colour_run_from_end_to_end() -> None:
    colours = step_colours(["#000000", "#ff0000", "#ffffff"], 5)
    assert colours == ["#000000", "#800000", "#ff0000", "#ff8080", "#ffffff"]
    assert [step(level) for level in (-1.0, 0.0, 0.5, 1.0, 2.0)] == [0, 0, STEPS // 2, STEPS - 1, STEPS - 1]
