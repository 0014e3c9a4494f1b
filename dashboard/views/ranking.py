"""Units ranked by their gradients before any training, and held against what came of them."""

import pandas as pd
import streamlit as st

from dashboard import data, kept
from dashboard.figures.cells import Rate
from dashboard.figures.gallery import percent
from dashboard.figures.unit_preview import NONE_YET, order_sentence, unit_preview, unit_preview_table
from dashboard.one_version import one_version
from dashboard.places import command, store_root
from dashboard.views import drawn
from dashboard.views.chart import is_dark
from dashboard.views.choice import select
from engine.ranking import HINT, FoldNorms, all_kept
from engine.significance.agreement import OrderAgreement, order_agreement

NOTE = (
    "Left: norm of the gradient over the norm of the parameters (Lee et al. 2022), mean over folds, with their range; "
    "measured on training images with the start weights as they are. Right: small dots are folds."
)


def found_for(study: str) -> list[FoldNorms]:
    """What is kept of the study's images and start weights as they are planned now."""
    plan = data.plan(study)
    planned = set(zip(plan["data"], plan["start"], plan["start_weights"], strict=True))
    return [one for one in all_kept(data.store(), study) if (one.data, one.start, one.start_weights) in planned]


def beside_truth(study: str, rate: Rate, dataset: str) -> None:
    """The ranking of one data set's start weights beside the units that learned alone, and how far both agree."""
    st.subheader("Units ranked before any training", anchor=False, divider="gray")
    cells = drawn.cells(study, rate)
    cells = cells[(cells["dataset"] == dataset) & (cells["source"] == "ours")]
    own = [one for one in found_for(study) if one.start in set(cells["start"])]
    if not own:
        told = command("preview", study)
        st.caption(f"Not ranked yet; it takes about a minute: `{told}`")
        return
    fractions = {percent(one.fraction): one.fraction for one in own}
    fraction = fractions[select("Part of the images", list(fractions), "preview fraction", width=180)]
    found = [one for one in own if one.fraction == fraction]
    row = cells[(cells["fraction"] == fraction) & (cells["network"] == "")]
    measure = data.main(study)
    table = unit_preview_table(
        found, row, _untuned(study, found[0].start, measure.column), str(data.plan(study)["model"].iloc[0])
    )
    st.markdown(_sentence(study, rate, dataset, fraction, table))
    figure = unit_preview(table, measure=measure.main, dark=is_dark())
    alt = f"Relative gradient norm of each unit before training, and the {measure.main} gained when it learned alone"
    drawn.draw(figure, table, "unit-preview", alt=alt, note=f"{NOTE} {HINT}", narrowest=560)


def _untuned(study: str, start: str, column: str) -> list[float]:
    """What the start weights reach as they are, fold by fold; [] where that is not known."""
    table = data.pretrained(study, column)
    own = table[(table["start"] == start) & table["complete"].astype(bool)]
    return list(own["values"].iloc[0]) if len(own) else []


def _sentence(study: str, rate: Rate, dataset: str, fraction: float, table: pd.DataFrame) -> str:
    done = table[table["mean"].notna()]
    if done.empty:
        return f"Nothing to hold it against: {NONE_YET}."
    names = tuple(done["strategy"])
    told = tuple(zip(names, done["relative"], done["sd"], done["measured_folds"], strict=True))
    agreement = _agreement(
        store_root(), study, data.stamp(study), rate, data.main(study).column, dataset, fraction, told
    )
    return order_sentence(agreement, data.main(study).main)


@one_version(16)
def _agreement(
    root: str, study: str, version: str, rate: Rate, column: str, dataset: str, fraction: float,
    told: tuple[tuple[str, float, float, int], ...],
) -> OrderAgreement:  # fmt: skip
    """The rank correlation of the ranking (`told`: strategy, norm, sd, folds) with what these strategies reached."""
    ranked = pd.DataFrame(told, columns=["strategy", "mean", "sd", "folds"])
    cells, images = data.cells(study, rate, column), kept.averaged(root, study, version, rate, column, None)
    here = (cells["dataset"] == dataset) & (cells["fraction"] == fraction) & cells["strategy"].isin(ranked["strategy"])
    seen = (
        (images["dataset"] == dataset) & (images["fraction"] == fraction) & images["strategy"].isin(ranked["strategy"])
    )
    return order_agreement(cells[here & (cells["network"] == "")], ranked, images=images[seen] if seen.any() else None)
