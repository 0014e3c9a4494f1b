"""What is the matter with a study's results, a line each; and what its recommendations mark in Table II."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from dashboard.figures.cells import in_table, of_trainings, with_network
from engine.significance import Recommendation
from engine.store import latest
from engine.trial import CLOSED, Trial

AGAIN = "run the study again"
LATEST_COLUMNS = ["id", "number", "state", "error"]


def matters(plan: pd.DataFrame, attempts: pd.DataFrame, damaged: Mapping[str, str], *, busy: bool = False) -> list[str]:
    """Lines of Markdown that say what is wrong and what to do about it; none of a sound, finished study.

    `damaged` gives for each file of attempts that cannot be read why. A study that is `busy` has no word on what it
    has not done yet.
    """
    found = [
        f"**`{name}` is damaged** ({why}): the rest is shown. To put it right, {AGAIN}: the file is put aside in "
        "`damaged/`, and its trials, which are missing here, are trained again."
        for name, why in damaged.items()
    ]
    if not len(plan):
        return found
    if is_older(plan):
        found.append(
            "**These results are of an earlier version of WhichLayers.** They are shown as they were stored; what it "
            f"did not measure is left blank. If you {AGAIN}, its trials are trained again, since their numbers would "
            "differ."
        )
    networks = list(dict.fromkeys(with_network(in_table(plan))["network"]))
    if len(networks) > 1:
        found.append(f"**This study mixes networks** ({'; '.join(networks)}): they stand in rows of their own.")
    return found if busy else found + _unfinished(of_trainings(plan), attempts)


def _unfinished(plan: pd.DataFrame, attempts: pd.DataFrame) -> list[str]:
    """Crashed, missing and failed trainings."""
    last = plan[["id"]].drop_duplicates().merge(latest(attempts)[LATEST_COLUMNS], on="id", how="left")
    crashed, closed = last["state"].eq("error"), last["state"].isin(CLOSED)
    missing, found = int((~closed & ~crashed).sum()), []
    if crashed.any():
        why = _last_line(last.loc[crashed, "error"].iloc[0])
        some = "All" if crashed.all() else f"{crashed.sum()} of {len(last)}"
        found.append(f"**{some} trials crashed**{why}. Tracebacks stand at the end of *Results*; {AGAIN} to try again.")
    if missing and closed.any():
        found.append(f"**{missing} of {len(last)} trials have no result**: {AGAIN}, and only these are trained.")
    if closed.any() and not missing and last.loc[closed, "state"].eq("not_converged").all():
        found.append(
            "**No training converged**: each was still improving at the last epoch that the paper allows, or its loss "
            "was never a number. Try another learning rate, or more batches per epoch."
        )
    return found


def _last_line(error: Any) -> str:
    lines = str(error or "").strip().splitlines()
    return f" (the first: `{lines[-1][:200]}`)" if lines else ""


def is_older(plan: pd.DataFrame) -> bool:
    """Whether the plan's ids are not those that this version gives: another revision of results, or other fields."""
    row = plan.iloc[0]
    values = {field.name: row[field.name] for field in fields(Trial)}
    values |= {"units": tuple(row["units"]), "start_weights": _text(row["start_weights"])}
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
    return bool(Trial(**plain).id != row["id"])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def marked(cells: pd.DataFrame, recommendations: Mapping[tuple[str, str, float], Recommendation]) -> pd.DataFrame:
    """The cells with `not_inferior` (to the reference, within the margin), and what that rests on (`recommended`)."""
    told: dict[tuple[str, str, float, str], str] = {}
    for place, found in recommendations.items():
        good = found.candidates[found.candidates["non_inferior"].astype(bool)]
        for name, bound in zip(good["strategy"], good["bound"], strict=True):
            text = f"at most {bound:.3f} below" if bound >= 0 else f"at least {-bound:.3f} above"
            told[*place, name] = (
                f"{text} {found.reference} (one-sided 95 % bound, corrected), within the margin of {found.margin:g}"
            )
    keys = list(zip(cells["start"], cells["network"], cells["fraction"], cells["strategy"], strict=True))
    return cells.assign(not_inferior=[key in told for key in keys], recommended=[told.get(key, "") for key in keys])
