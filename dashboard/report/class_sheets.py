"""Tables of a classification study's report: accuracy with n, scanners, classes, persons, and tests as published."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from dashboard.figures.accuracy import classes_table
from dashboard.figures.differences import chi_square_table, scanners_table, tukey_table
from dashboard.figures.published_classes import cheng_table, pasdeloup_table
from dashboard.figures.readers import NETWORK, OUT_OF_THE_BOX, short_network
from dashboard.figures.rows import parts, rows
from dashboard.report.findings import Findings
from dashboard.report.readers import Readers
from dashboard.report.sheets import Sheet
from dashboard.report.words import counted, interval, probability, short, value
from engine.published import cheng2017, pasdeloup2018
from engine.significance import FEWEST_FOLDS, as_published, chi_square
from engine.significance.chi_square import chi_square_yates

AS_THEY_ARE = "Start weights as they are"
OPTIONAL = {"training_accuracy": "on training images", "kept_accuracy": "left on start images"}
"""Columns that are left out where nothing was measured."""


def accuracy_sheet(readers: Readers) -> Sheet:
    """A row per network: mean and sd over folds, accuracy over all images with its interval, n, other measures."""
    table = readers.measures[readers.measures["kind"] == NETWORK].rename(columns={"values": "known"})
    more = {column: title for column, title in OPTIONAL.items() if table[column].notna().any()}

    def line(row: Any) -> tuple[str, ...]:
        over_folds = f"{value(np.mean(row.known))} ({value(row.sd)})" if row.known else "–"
        return (
            _named(row, table), over_folds, value(row.accuracy), interval(row.low, row.high, sign=False),
            f"{row.images:,}", f"{row.groups:,.0f}" if row.groups else "–", str(row.folds), value(row.top2),
            value(row.balanced_accuracy), interval(row.balanced_low, row.balanced_high, sign=False),
            *(value(getattr(row, column)) for column in more),
        )  # fmt: skip

    columns = ["strategy", "mean (sd) over folds", "all images", "95 % interval", "images", "groups"]
    columns += ["folds", "top-2", "balanced", "95 % interval", *more.values()]
    made = [(name, tuple(line(row) for row in rows(part))) for name, part in _by_fraction(table)]
    notes = ["All images: part of the test images of all folds together that is right."]
    notes += [f"{note[:1].upper()}{note[1:]}." for note in dict.fromkeys(table["note"]) if note]
    notes += ["Left: on the start weights' own held-out images, after fine-tuning."] if "kept_accuracy" in more else []
    return Sheet(
        title="Accuracy with its interval, and n", columns=tuple(columns), parts=tuple(made), notes=tuple(notes)
    )


def cost_sheet(findings: Findings) -> Sheet:
    """What each strategy trains and takes."""
    cells = findings.cells[findings.cells["complete"].astype(bool)]
    seconds = findings.trials.groupby(["start", "fraction", "strategy"])["seconds_per_image"].mean()
    several = bool(len(cells)) and (cells["rates"].map(len).max() > 1 or cells["rates"].astype(str).nunique() > 1)

    def line(row: Any) -> tuple[str, ...]:
        of_image = seconds.get((row.start, row.fraction, row.strategy), seconds.get(("", row.fraction, row.strategy)))
        return (
            str(row.strategy), f"{row.trainable:,}", f"{100 * row.trainable / max(row.total, 1):.3g} %",
            short(row.minutes), short(row.megabytes), short(1000 * float(of_image if of_image is not None else "nan")),
            *([", ".join(f"{rate:g}" for rate in row.rates)] if several else []),
        )  # fmt: skip

    columns = ("strategy", "trained parameters", "of all", "minutes", "MB trained", "ms per image")
    made = tuple(
        (f"{dataset}, {fraction:g} %", tuple(line(row) for row in rows(part)))
        for (dataset, fraction), part in parts(cells, ["dataset", "fraction"])
    )
    note = "Minutes are of one training; milliseconds of testing one image among many; on the machine named below."
    return Sheet(
        title="Cost",
        columns=(*columns, *(["learning rates"] if several else [])),
        parts=made,
        notes=(note,) if made else (),
    )


def scanners_sheet(readers: Readers) -> Sheet:
    """Accuracy of each reader on each scanner's images; without rows where there is one scanner or none."""
    table = readers.parted[readers.parted["of"] == "scanner"]
    several = table["part"].nunique() > 1
    return Sheet(
        title="Accuracy by scanner",
        columns=("reader", "accuracy", "95 % interval", "images", "groups"),
        parts=tuple(
            (f"scanner {scanner}", tuple(_parted(row) for row in rows(part))) for scanner, part in parts(table, "part")
        )
        if several
        else (),
    )


def classes_sheet(readers: Readers, reader: str, what: str) -> Sheet:
    """Recall and precision of each class by one reader."""
    table = readers.found[reader].classes
    lines = tuple(
        (
            str(row["class"]), f"{row['images']:,}", f"{row['groups']:,}", value(row["recall"]),
            interval(row["recall_low"], row["recall_high"], sign=False), f"{row['said']:,.0f}", value(row["precision"]),
            interval(row["precision_low"], row["precision_high"], sign=False),
        )
        for row in table.to_dict("records")
    )  # fmt: skip
    columns = ("class", "images", "groups", "recall", "95 % interval", "said", "precision", "95 % interval")
    note = (
        "Recall: part of the class's images that is called so; precision: part of what is called so that is of the "
        "class. Said: images of which the class was said. An en dash: no such image, or no interval."
    )
    return Sheet(
        title=f"Recall and precision of each class: {reader} ({what})",
        columns=columns,
        parts=(("", lines),),
        notes=(note,),
    )


def recall_sheet(readers: Readers) -> Sheet:
    """Recall of each class by every reader."""
    table = classes_table(readers.parted, list(readers.by_name), readers.classes)
    lines = tuple((str(row[0]), *(value(part / 100) for part in row[1:])) for row in table.itertuples(index=False))
    return Sheet(
        title="Recall of each class by every reader",
        notes=("n: most images that a reader answered; a person may have answered fewer.",) if readers.people else (),
        columns=tuple("reader" if name == "reader" else str(name) for name in table.columns),
        parts=(("", lines),) if lines else (),
    )


def against_sheet(readers: Readers) -> Sheet:
    """Every reader, persons too, against the reference on the same images, with McNemar's counts."""
    family = readers.family
    lines = tuple(
        (
            str(row.first), value(row.difference, sign=True), interval(row.low, row.high), f"{row.only_first:,}",
            f"{row.only_second:,}", probability(row.p_mcnemar), probability(row.p_holm), f"{row.images:,}",
        )
        for row in rows(family.table)
    )  # fmt: skip
    columns = ("reader", "difference", "95 % interval", "only it right", "only the other right", "p (McNemar)")
    return Sheet(
        title=f"On the same images as {readers.reference}: difference in accuracy",
        columns=(*columns, "p (Holm)", "images"),
        parts=(("", lines),) if lines else (),
        notes=(f"{family.description[:1].upper()}{family.description[1:]}. Not different is not equal.",),
    )


def persons_sheet(readers: Readers) -> Sheet:
    """Persons who classified test images: who they are, how often they are right, and how long they took."""

    def line(row: Any) -> tuple[str, ...]:
        found = readers.found[row.reader]
        return (
            str(row.reader), f"{row.years:g}", f"{row.examinations:,.0f}", str(row.exposure),
            f"{row.answered:,} of {row.frames:,}", value(found.accuracy.value),
            interval(found.accuracy.low, found.accuracy.high, sign=False), value(found.balanced.value),
            interval(found.balanced.low, found.balanced.high, sign=False), short(row.seconds), f"{row.opened:,}",
        )  # fmt: skip

    known = readers.persons[readers.persons["reader"].isin(list(readers.found))]
    columns = ("reader", "years", "examinations", "prior exposure", "answered", "accuracy", "95 % interval")
    return Sheet(
        title="Persons",
        columns=(*columns, "balanced", "95 % interval", "seconds per image", "labelled images opened"),
        parts=(("", tuple(line(row) for row in rows(known))),) if len(known) else (),
        notes=("Seconds: median. Labelled training images could be looked at; how many were is counted.",),
    )


def published_tests(readers: Readers) -> list[Sheet]:
    """The papers' own tests: chi-square with Yates' correction over readers and scanners, Tukey's HSD over folds."""
    answers, names = readers.answers, list(readers.by_name)
    chi = chi_square_table(answers, readers.reference, names)
    made = [
        Sheet(
            title=f"As published: chi-square against {readers.reference}",
            columns=("reader", "right", "images", "chi-square", "p"),
            parts=(("", tuple((str(name), f"{right:,}", f"{frames:,}", value(chi2), probability(p))
                              for name, right, frames, chi2, p in chi.iloc[:, :5].itertuples(index=False))),)
            if len(chi) else (),
            notes=(f"{chi_square.LABEL[:1].upper()}{chi_square.LABEL[1:]} ({cheng2017.CITATION.short}).",),
        )
    ]  # fmt: skip
    by_scanner = scanners_table(answers, names)
    made.append(
        Sheet(
            title="As published: two scanners of one reader",
            columns=("reader", "scanners", "right", "chi-square", "p"),
            parts=(("", tuple((str(name), str(pair), str(right), value(chi2), probability(p))
                              for name, pair, right, chi2, p in by_scanner.itertuples(index=False))),)
            if len(by_scanner) else (),
        )
    )  # fmt: skip
    made.append(
        Sheet(
            title="As published: Tukey's HSD of every two strategies",
            columns=("first − second", "difference", "95 % interval", "p"),
            parts=tuple(_tukey(answers[answers["kind"] == NETWORK])),
            notes=(f"{as_published.LABEL[:1].upper()}{as_published.LABEL[1:]}, so p is too small.",),
        )
    )  # fmt: skip
    return made


def _tukey(networks: pd.DataFrame) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    """A part per part of the images, the start weights as they are in each."""
    if networks["fold"].nunique() < FEWEST_FOLDS:
        return
    for fraction in sorted(set(networks["fraction"]) - {0.0}, reverse=True):
        own = networks[networks["fraction"].isin([fraction, 0.0])]
        names = own["reader"].str.removesuffix(f" · {fraction:g} %")
        if own["model"].nunique() == 1:
            names = names.str.removeprefix(f"{short_network(str(own['model'].iloc[0]))} · ")
        own = own.assign(reader=names)
        table = tukey_table(own)
        lines = tuple(
            (f"{row.first} − {row.second}", value(row.difference / 100, sign=True),
             interval(row.low / 100, row.high / 100), probability(row.p))
            for row in rows(table[table["p"].notna()])
        )  # fmt: skip
        if lines:
            yield f"{fraction:g} %", lines


def beside_published(readers: Readers) -> list[Sheet]:
    """Ours and the published accuracies of the same networks and strategies, and the paper's own tables."""
    theirs, bars = readers.published, readers.bars[readers.bars["source"] == "ours"]
    if readers.citation is None:
        return []
    lines = []
    for row in rows(theirs):
        own = bars[(bars["network"] == row.network) & (bars["strategy"] == row.strategy)]
        own = own.sort_values("fraction", ascending=False, kind="stable").head(1)
        spread = "" if pd.isna(row.sd) else f" ± {value(row.sd)}"
        ours = next(rows(own)) if len(own) else None
        lines.append(
            (
                f"{row.network}: {row.strategy}", value(ours.accuracy) if ours else "–",
                interval(ours.low, ours.high, sign=False) if ours else "–",
                f"{ours.images:,.0f}" if ours and ours.images else "–", f"{value(row.accuracy)}{spread}",
                f"{row.images:,.0f}",
            )
        )  # fmt: skip
    made = [
        Sheet(
            title="Ours beside the published accuracy",
            columns=("network: strategy", "ours", "95 % interval", "images", "published", "images"),
            parts=(("", tuple(lines)),) if lines else (),
            notes=("No difference shown: images, scanners, sizes and start weights are not the paper's.",),
        )
    ]
    return [*made, *(_pasdeloup() if readers.citation == pasdeloup2018.CITATION else _cheng())]


def _pasdeloup() -> list[Sheet]:
    table = pasdeloup_table()
    lines = tuple(tuple(str(entry) for entry in row) for row in table.itertuples(index=False))
    frames = ", ".join(f"{number:,} images of {scanner}" for scanner, number in pasdeloup2018.FRAMES.items())
    return [
        Sheet(
            title="The published table: accuracy in percent",
            columns=tuple(str(name) for name in table.columns),
            parts=(("", lines),),
            notes=(f"{frames}; {pasdeloup2018.SPREAD}.",),
        )
    ]


def _cheng() -> list[Sheet]:
    right = tuple(
        (f"{row.reader}, {row.subset}", str(row.top), f"{row.correct:,} of {row.images:,}", f"{row.percent:.1f} %")
        for row in rows(cheng_table())
    )
    results, printed = cheng2017.results(), cheng2017.tests().set_index("comparison")
    counts = {(row.reader, row.subset): (row.correct, row.images) for row in rows(results[results["top"] == 1])}
    tests = []
    for name, (first, second) in cheng2017.COUNTS_OF_TESTS.items():
        anew = chi_square_yates(*counts[first], *counts[second])
        told = printed.loc[name]
        tests.append((name, f"{told['chi2']:g}", str(told["p"]), f"{anew.chi2:.3f}", probability(anew.p)))
    return [
        Sheet(
            title="The published results: images that each reader got right",
            columns=("reader, images", "among the first", "right", "percent"),
            parts=(("", right),),
        ),
        Sheet(
            title="The published tests, as printed and computed anew here",
            columns=("comparison", "chi-square", "p", "computed", "p, computed"),
            parts=(("", tuple(tests)),),
            notes=("Confusion matrices and most regions of the Venn diagram are pictures in the paper: missing here.",),
        ),
    ]


def _parted(row: Any) -> tuple[str, ...]:
    groups = f"{row.groups:,.0f}" if row.groups else "–"
    return str(row.reader), value(row.accuracy), interval(row.low, row.high, sign=False), f"{row.images:,}", groups


def _named(row: Any, table: pd.DataFrame) -> str:
    """`whole network`, of several networks `VGG16 · whole network`, of several start weights the reader's name."""
    twice = table.duplicated(["network", "strategy", "fraction"], keep=False).any()
    if twice:
        return str(row.reader)
    return f"{row.network} · {row.strategy}" if table["network"].nunique() > 1 else str(row.strategy)


def _by_fraction(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    alone = table["strategy"] == OUT_OF_THE_BOX
    for fraction, part in sorted(parts(table[~alone], "fraction"), key=lambda item: -float(item[0])):
        most = pd.to_numeric(part["training_images"]).mean()
        images = f", {counted(round(most), 'training image', digits=True)} on average" if most > 0 else ""
        yield f"{fraction:g} % of the images{images}", part
    if alone.any():
        yield AS_THEY_ARE, table[alone]
