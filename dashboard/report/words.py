"""Numbers and lists as a paper writes them."""

from collections.abc import Sequence
from html import escape

import pandas as pd

NUMBERS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
]
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(count: int) -> str:
    """`three`, and `174` from fourteen on."""
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else f"{count:,}"


def counted(count: int, what: str, *, digits: bool = False) -> str:
    """`one fold`, `three folds`, or `174 images`."""
    return f"{f'{count:,}' if digits else number(count)} {what}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; with semicolons where a name has a comma."""
    if len(names) < 2:
        return "".join(names)
    between = "; " if any("," in name for name in names) else ", "
    return f"{between.join(names[:-1])}{';' if between == '; ' else ''} and {names[-1]}"


def power(value: float) -> str:
    """`10⁻⁴`, `3 × 10⁻⁴`."""
    mantissa, exponent = f"{value:.3g}".split("e") if "e" in f"{value:.3g}" else f"{value:.2e}".split("e")
    ten = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return ten if float(mantissa) == 1 else f"{float(mantissa):g} × {ten}"


def value(of: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """`0.834`, `−0.012`, or an en dash where there is none."""
    if of is None or pd.isna(of):
        return "–"
    rounded = round(float(of), digits) + 0.0  # no minus before a zero
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")


def smallest(loss: float | None) -> str:
    """The smallest loss that a study could have seen; `none` where not even the largest possible one, 1."""
    return "none" if loss is not None and loss >= 1 else value(loss)


def short(of: float) -> str:
    """Two digits that count: `0.0023`, `1.4`, `128`, or an en dash where there is none."""
    if pd.isna(of):
        return "–"
    return f"{of:,.0f}" if abs(of) >= 10 else f"{float(f'{of:.2g}'):g}"


def interval(low: float | None, high: float | None, digits: int = 3, *, sign: bool = True) -> str:
    """`[−0.012, +0.034]`, or an en dash where there is none."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return "–"
    return f"[{value(low, digits, sign=sign)}, {value(high, digits, sign=sign)}]"


def probability(p: float | None) -> str:
    """`0.021`, `< 0.001`, or an en dash where there is none."""
    if p is None or pd.isna(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def html_of(markdown: str) -> str:
    """Sentences with **bold** words, `code`, and lines that end with two spaces, as HTML."""
    text = escape(markdown, quote=False)
    for sign, name in (("**", "b"), ("`", "code")):
        pieces = text.split(sign)
        text = "".join(f"<{name}>{piece}</{name}>" if place % 2 else piece for place, piece in enumerate(pieces))
    return text.replace("  \n", "<br>")
