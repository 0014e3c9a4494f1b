"""Embedding map: what the last hidden layer says of the frames, before and after fine-tuning, as a map."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard import answers, data, data_images, embedding_maps
from dashboard.figures.embedding_map import COLOUR_BY, looks, map_table, turned, values
from dashboard.map_maker import MapTask
from dashboard.views import finished, headline, map_chart, map_selection
from dashboard.views.choice import select, switch
from engine.embeddings import MAP_METHODS, PARTS, MapMethod, before_training

NOTHING = (
    "No embedding of a finished cell is kept in this study. Trials keep what their last hidden layer says of each "
    "image where the study file says so; run the study again to make those that are missing."
)
HEADLESS = "the start weights have no output layer for the classes of this study"
PERPLEXITIES = ("30", "5", "15", "50", "100")


def page() -> None:
    """Network and map above; the maps side by side; the frames of a region below."""
    study = finished.begin("Embedding map", "Maps of embeddings")
    if study is None:
        return
    headline.told_of(study)
    source = data.dataset(study)
    if data.task(study) != "classification" or source is None:
        st.info(finished.GONE if source is None else "Maps are drawn of studies whose networks tell classes apart.")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        trials = embedding_maps.with_embedding(study, finished.done(study))
        if not len(trials):
            st.info(NOTHING)
            return
        tasks = _choose(study, trials)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        by = switch("Colour by", list(COLOUR_BY), "colour by")
        part = switch("Images", [*(["test", "all"] if len(tasks) > 1 else ["all", "test"]), *PARTS[:2]], "set")
        pictures = switch("Draw", ["points", "thumbnails"], "draw") == "thumbnails"
    found = map_chart.made(tasks)
    if found is None:
        return
    tables = {
        side: map_table(found[side], source.table, embedding_maps.tested(study, task.trial_id))
        for side, task in tasks.items()
    }
    tables = {side: turned(table, tables["after"]) for side, table in tables.items()}
    tables = {side: table if part == "all" else table[table["part"] == part] for side, table in tables.items()}
    names = values(list(tables.values()), by, answers.classes(study))
    map_chart.draw(study, tables, found, by, looks(names), pictures=pictures)
    if told := _of_start(study, tasks, trials):
        st.caption(told)
    map_selection.draw(study, tables, answers.classes(study))


def _of_start(study: str, tasks: Mapping[str, MapTask], trials: pd.DataFrame) -> str:
    """Why no map stands before fine-tuning, or one of images that were not tested; "" where all is there."""
    after = trials[trials["id"] == tasks["after"].trial_id].iloc[0]
    if not after["start"]:
        return "No map before fine-tuning: this network began from random weights."
    if (data_images.start_tests(study)["start"] == after["start"]).any():
        return ""
    if "before" in tasks:
        return f"Before fine-tuning, {HEADLESS}: they name none, and are seen by their last hidden layer alone."
    return (
        f"No map before fine-tuning: {HEADLESS}, and when this training ran their last hidden layer was not kept; run "
        "the study under another name to have it."
    )


def _choose(study: str, trials: pd.DataFrame) -> dict[str, MapTask]:
    """The maps that are wanted: `before` where what the start weights say is kept, and `after`."""
    cell = finished.choose_strategy(finished.choose_percent(trials))
    folds = [f"{fold}" for fold in sorted(set(cell["fold"]))]
    fold = select("Fold", folds, "fold", width=90)
    seeds = [f"{seed}" for seed in sorted(set(cell["seed"]))]
    seed = select("Seed", seeds, "map seed", width=90) if len(seeds) > 1 else seeds[0]
    after = cell[(cell["fold"] == int(fold)) & (cell["seed"] == int(seed))].iloc[0]
    tests = embedding_maps.with_embedding(study, data_images.start_tests(study))
    before = tests[(tests["start"] == after["start"]) & (tests["fold"] == after["fold"])]
    before = before[(before["model"] == after["model"]) & (before["width"] == after["width"])]
    methods: dict[str, MapMethod] = {name: name for name in MAP_METHODS}
    method = methods[switch("Map", list(methods), "map")]
    perplexity = float(select("Perplexity (UMAP: half)", PERPLEXITIES, "perplexity", width=170))
    kept = [*before["id"], *embedding_maps.among(study, [before_training(after["id"])])]
    ids = {"before": kept[0]} if kept else {}
    return {
        side: MapTask(study=study, trial_id=str(trial), method=method, seed=0, perplexity=perplexity)
        for side, trial in (ids | {"after": after["id"]}).items()
    }
