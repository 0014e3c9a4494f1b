"""Sentences on settings and results that the methods of every task share, from a study's plan and its trainings."""

from typing import Any

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dashboard.figures.cells import CHOSEN, in_table
from dashboard.figures.repeats import FOLD
from dashboard.report.findings import Findings
from dashboard.report.words import counted, listed, number, power

NOT_CONVERGED_AT = 200
"""Epochs after which a training that has not stopped has failed (Amiri et al. 2020); a lower cap only cuts it."""


def rates(findings: Findings) -> list[str]:
    """How the learning rate was found."""
    plan = in_table(findings.plan)
    tried = sorted({float(rate) for rate in plan["learning_rate"]})
    if findings.rate != CHOSEN:
        return [f"The learning rate was {power(float(findings.rate))}."]
    each = f"each strategy, fraction, fold and seed by the highest validation {findings.main.main}"
    search = settings(findings.text).get("rate_search")
    if isinstance(search, dict) and {"low", "high", "draws"} <= set(search):
        how = "by Optuna's sampler" if search.get("search") == "optuna" else "at random on a logarithmic scale"
        ends = f"between {power(float(search['low']))} and {power(float(search['high']))}"
        draws = counted(int(search["draws"]), "learning rate").capitalize()
        return [f"{draws} {ends} were tried {how}, and one was chosen for {each}."]
    return [f"The learning rates {listed([power(rate) for rate in tried])} were tried, and one was chosen for {each}."]


def augmentation(plan: pd.DataFrame) -> str:
    """How training images were changed."""
    shift, zoom, flip = (plan[name].iloc[0] for name in ("shift", "zoom", "flip"))
    ways = [f"shifted by up to {100 * shift:g} % of their side"] if shift else []
    ways += [f"zoomed by up to {100 * zoom:g} %"] if zoom else []
    ways += ["mirrored left and right with probability one half"] if flip else []
    if not ways:
        return "Training images were not augmented."
    return f"Training images were {listed(ways)}, at random and anew in every batch."


def failures(findings: Findings) -> list[str]:
    """How many trainings tables rest on, and what became of those that are unusual."""
    trials, cap = findings.trials, int(in_table(findings.plan)["max_epochs"].max())
    closed = trials[trials["closed"].astype(bool)]
    if not len(closed):
        return []
    planned = in_table(findings.plan)["id"].nunique()
    chosen = f", chosen from {planned:,} with every learning rate" if planned > len(trials) else ""
    done = f"{len(closed):,} of {len(trials):,}" if len(closed) < len(trials) else f"{len(closed):,}"
    said = [f"Tables rest on {done} trainings{chosen}."]
    failed, cut = int((~closed["converged"].astype(bool)).sum()), int(closed["cut_at"].notna().sum())
    collapsed = int(closed["collapsed"].eq(True).fillna(False).astype(bool).sum())
    many = {name: number(count).capitalize() for name, count in (("f", failed), ("c", cut), ("b", collapsed))}
    if failed:
        why = f"had not stopped after {cap} epochs, or diverged" if cap >= NOT_CONVERGED_AT else "diverged"
        said.append(f"{many['f']} failed to converge ({why}): counted, and left out of means.")
    again = findings.repeat_trials
    if len(again):
        over = again[again["closed"].astype(bool)]
        good = int(over["converged"].astype(bool).sum())
        folds = counted(again[FOLD].drop_duplicates().shape[0], "failed fold")
        said.append(
            f"{folds.capitalize()} {'was' if folds.startswith('one ') else 'were'} trained again from other initial "
            "weights (from start weights: in another order of batches and with other dropout); of these "
            f"{counted(len(over), 'training')} {number(good)} converged. They stand in rows of their own and count "
            "nowhere else."
        )
    if cut:
        said.append(f"{many['c']} had not stopped by themselves after {cap} epochs and were cut there, and are kept.")
    if collapsed:
        said.append(f"{many['b']} collapsed, predicting {findings.main.collapse}, and are kept.")
    return said


def only(plan: pd.DataFrame, column: str) -> str:
    """The plan's value of a setting; of several, all."""
    return listed([f"{value}" for value in dict.fromkeys(plan[column])])


def settings(text: str) -> dict[str, Any]:
    """The study file as it was read; {} where it cannot be."""
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
