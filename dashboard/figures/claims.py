"""The paper's claims beside what its own table and this study say of them, as a table in HTML."""

from html import escape
from typing import Any

import pandas as pd

from dashboard.figures.rows import rows

MARKS = {
    "agrees": ("✓", "#2f8148"),
    "disagrees": ("✕", "#c0392b"),
    "cannot tell": ("?", "#8a6d1f"),
    "not in this study": ("–", "#66727f"),
    "not claimed": ("–", "#66727f"),
}
"""Sign and colour of each verdict; white letters lie on the colour, on light and dark pages."""
LOOK = """<style>
.claims {border-collapse: collapse; width: 100%; font-size: 0.9rem; line-height: 1.4}
.claims th {text-align: left; font-weight: 650; padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1.5px solid currentColor}
.claims td {vertical-align: top; padding: 0.55rem 1rem 0.6rem 0; border-bottom: 1px solid rgba(128, 128, 128, 0.28)}
.claims small {opacity: 0.72; font-size: 0.82rem; display: block}
.claims .verdict {color: #fff; border-radius: 4px; padding: 0.05rem 0.45rem; font-weight: 650; white-space: nowrap}
.claims td:nth-child(1) {min-width: 13rem}
.claims td:nth-child(2) {min-width: 9rem}
.claims td:nth-child(3) {min-width: 18rem}
.claims-frame {overflow-x: auto}
</style>"""


def claims(table: pd.DataFrame) -> str:
    """A row per claim: what the paper says, whether its own table agrees, and the verdict of this study with why.

    Without a column `verdict` (no study) the last column is left out.
    """
    judged = "verdict" in table
    heads = ["The paper says", "Its own tables", *(["This study"] if judged else [])]
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row, judged))}</tr>" for row in rows(table))
    titles = "".join(f"<th>{head}</th>" for head in heads)
    drawn = f"<table class='claims'><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    return f"{LOOK}<div class='claims-frame'>{drawn}</div>"


def _cells(row: Any, judged: bool) -> list[str]:
    outcome = f"<small>{escape(row.published_outcome)} · {escape(row.section)}</small>"
    agree = "cannot be told" if pd.isna(row.does_table2_agree) else str(row.does_table2_agree)
    found = [f"<b>{escape(row.claim)}</b>{outcome}", escape(agree)]
    if judged:
        mark, colour = MARKS.get(row.verdict, ("", "#66727f"))
        chip = f"<span class='verdict' style='background:{colour}'>{mark} {escape(row.verdict)}</span>"
        numbers = "".join(f"<small>{escape(part)}</small>" for part in str(row.ours).split("; ") if part)
        found.append(f"{chip} {escape(row.why)}{numbers}")
    return found
