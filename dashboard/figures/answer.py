"""The answer in plain words, and the other sentences that stand above the table. Only descriptive."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dashboard.figures.measures import MEASURES, Measure, in_words_of
from dashboard.figures.rows import parts, rows
from engine.significance import Recommendation

NETWORKS = {
    "caffenet": "CaffeNet", "vgg16": "VGG16", "mobilenet": "MobileNet v1", "cvcnet": "CVCNet (our reconstruction)"
}  # fmt: skip
RUNNING = "Validation images rank while the study runs; test means and the recommendation come when the run has ended."
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def answer(cells: pd.DataFrame, *, measure: str = "Dice", running: bool = False) -> str:
    """What the cells say, least images first: test means of rows that are complete, validation ranks of the others.

    Of a study that is `running` validation ranks alone: test images choose nothing before its end.
    """
    if not len(cells):
        return "No trial is planned yet."
    shown, sentences, folds = MEASURES[measure], [], 0
    several = cells["dataset"].nunique() > 1
    for (fraction, _), row in sorted(parts(cells, ["fraction", "dataset"]), key=lambda item: float(item[0][0])):
        named = " · ".join(name for name in row[["start", "network"]].iloc[0] if name)
        where = f"With **{fraction:g} %** of the images" + (f" ({named})" if several else "")
        good = row.dropna(subset=["mean"])
        if not running and row["complete"].all() and len(good):
            folds = max(folds, int(row["folds"].max()))
            up, down = good.nlargest(2, "mean"), good.nsmallest(2, "mean")
            (best, most), (worst, least) = ((up, "highest"), (down, "lowest"))
            if shown.lower_is_better:
                (best, most), (worst, least) = (worst, least), (best, most)
            first = [_value(cell, shown) for cell in rows(best)]
            said = shown.title(_unit(row)) if shown.column == "hd95" else shown.said
            text = f"{where}: {most} mean test {said} {', then '.join(first)}"
            text += f"; {least} {_value(next(rows(worst)), shown)}" if len(good) > 2 else ""
            sentences.append(text + ".")
        elif not running and row["complete"].all():
            failed = bool((row["failed"] == row["trainings"]).all())
            sentences.append(f"{where}: {'no training converged' if failed else f'{shown.name} not measured'}.")
        else:
            done, planned = int(row["complete"].sum()), len(row)
            known = row.dropna(subset=["validation"]).nlargest(2, "validation")
            lead = ", then ".join(f"**{_whole(cell.strategy)}** ({cell.validation:.2f})" for cell in rows(known))
            text = f"{where}: {done} of {planned} cells complete"
            sentences.append(f"{text}; by validation {shown.main} so far {lead}." if lead else f"{text}.")
    if running:
        sentences.append(RUNNING)
    if folds:
        count = NUMBERS[folds] if folds < len(NUMBERS) else str(folds)
        few = "no test and no interval" if folds <= 2 else "intervals of the means stand on hover"
        sentences.append(f"{count} fold{'s' if folds > 1 else ''}: {few}.")
    return "  \n".join(sentences)


def told_in(found: Recommendation, measure: Measure) -> Recommendation:
    """The recommendation in words of the measure that it was made from in place of Dice."""
    return replace(found, sentence=in_words_of(found.sentence, measure), note=in_words_of(found.note, measure))


def advice(recommendations: Mapping[tuple[str, str, float], Recommendation], cells: pd.DataFrame) -> str:
    """The recommendation of each row in its own words, least images first; once where all say the same.

    `cells` are those of Table II: they tell which rows are not done yet.
    """
    ordered = sorted(recommendations.items(), key=lambda item: item[0][2])
    own = {tuple(place): row for place, row in parts(cells, ["start", "network", "fraction"])}
    alike = {advised(found.sentence, own[place]) for place, found in ordered}
    if len(alike) == 1:
        return alike.pop()
    several = len({place[:2] for place, _ in ordered}) > 1
    lines = []
    for (start, network, fraction), found in ordered:
        named = [f"{fraction:g} %", *((name for name in (start, network) if name) if several else ())]
        lines.append(advised(found.sentence, own[start, network, fraction], " · ".join(named)))
    return "  \n".join(lines)


def advised(sentence: str, row: pd.DataFrame, place: str = "") -> str:
    """`**Recommendation, 80 %:** ...`; of a row (its cells of Table II) that is not done, what is so far."""
    done, planned = int(row["complete"].sum()), len(row)
    head = "Recommendation" if done == planned else f"So far, with {done} of {planned} strategies done"
    return f"**{f'{head}, {place}' if place else head}:** {sentence}"


def _now(trial: Mapping[str, Any]) -> str:
    again = " again" if trial.get("repeat") else ""
    return f"{trial['strategy']} {trial['fraction']:g} % fold {trial['fold']}{again} (epoch {trial['epoch']})"


def _unit(row: pd.DataFrame) -> str:
    return next((unit for unit in row["hd95_unit"] if unit), "") if "hd95_unit" in row else ""


def _value(cell: Any, measure: Measure) -> str:
    spread = "" if pd.isna(cell.sd) else f" ({measure.write(cell.sd)})"
    return f"{measure.write(cell.mean)}{spread} for **{_whole(cell.strategy)}**"


def _whole(name: str) -> str:
    return name.replace(" ", "\u00a0")  # no line ends within a name


def false_positives(cell: Any) -> str:
    """`false positives on normal images: 12 % of 30` of a row of cells, or "" where it has none to tell of."""
    if not cell.normal_images or pd.isna(cell.false_positive_rate):
        return ""
    return f"false positives on normal images: {100 * cell.false_positive_rate:.0f} % of {cell.normal_images:.0f}"


def images_line(facts: Mapping[str, Any]) -> str:
    """What the images are: their name and where they come from, without what `caveats` says."""
    name, text = str(facts["data"]["name"]), str(facts["data"]["provenance"]).rstrip(".")
    for known in facts["data"].get("caveats") or []:
        text = text.replace(str(known).rstrip("."), "").rstrip("; ,.")
    return f"**{name}**: {text.removeprefix(name).lstrip(': ')}"


def provenance(facts: Mapping[str, Any], plan: pd.DataFrame) -> str:
    """The line that always stands on the page: images, start weights, network, folds, precision."""
    data, settings, starts = facts["data"], facts["settings"], facts.get("start_weights") or []
    groups = f" ({data['groups']} groups)" if data.get("groups") else ""
    parts = [f"{images_line(facts)}{groups}"]
    told = [str(start["description"]).rstrip(".") for start in starts]
    if len(starts) > 1:
        told = [f"{start['name']} ({text})" for start, text in zip(starts, told, strict=True)]
    parts.append(f"start weights: {'; '.join(told)}" if told else "no start weights")
    network = network_name(str(settings.get("model", "unet")), width=settings["width"])
    parts.append(f"{network}, {settings['image_size']} × {settings['image_size']} pixels")
    if len(plan):
        ran, of = plan["fold"].nunique(), int(plan["folds"].iloc[0])
        by = str(plan["split_by"].iloc[0])
        meant = " (a patient, study or clip, as the images name it)" if by == "group" else ""
        parts.append(f"{ran} of {of} folds, split by {by}{meant}")
    parts.append(_length(settings, plan))
    parts.append(str(settings["precision"]))
    return " · ".join(parts)


def network_name(model: str, *, width: int | None = None) -> str:
    """A network as its paper calls it; with `width` the U-Net's too."""
    if model == "unet":
        return "U-Net" if width is None else f"U-Net, width {width}"
    return NETWORKS.get(model, model)


def caveats(facts: Mapping[str, Any], *, of: Sequence[str] = ("data", "search")) -> str:
    """What must be known of the data, and of a search that left out or ended trials, before anything is concluded."""
    told = [str(one).rstrip(".") for part in of for one in (facts.get(part) or {}).get("caveats") or []]
    return f"{'. '.join(one[:1].upper() + one[1:] for one in told)}." if told else ""


def _length(settings: Mapping[str, Any], plan: pd.DataFrame) -> str:
    iterations = int(plan["iterations"].max()) if "iterations" in plan and len(plan) else 0
    if iterations:
        return f"{iterations:,} iterations, the last weights kept"
    return f"at most {settings['max_epochs']} epochs, patience {settings['patience']}"


def duration(seconds: int | float) -> str:
    """Seconds as `45 s`, `3 min 20 s` (below ten minutes), `12 min` or `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress_line(progress: Mapping[str, Any]) -> str:
    """`running · 12 / 28 trials · 1 failed · 3 min left · start weights`, from what the run says of itself."""
    state = str(progress.get("state", ""))
    busy = state in ("preparing", "running")
    if busy and not progress.get("alive"):
        state = "interrupted"
    parts = [f"**{state}**"]
    if progress.get("trials"):
        parts.append(f"**{progress.get('closed', 0)} / {progress['trials']}** trials")
    if progress.get("failed"):
        parts.append(f"{progress['failed']} crashed")
    if state in ("preparing", "running"):
        if progress.get("eta_seconds") is not None:
            parts.append(f"{duration(float(progress['eta_seconds']))} left")
        now = [_now(trial) for trial in progress.get("running") or []]
        if now or progress.get("phase"):
            parts.append("now " + ", ".join(now[:3]) if now else str(progress["phase"]))
    elif progress.get("seconds"):
        parts.append(f"took {duration(float(progress['seconds']))}")
    return " · ".join(parts)
