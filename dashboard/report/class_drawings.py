"""Figures of a classification study's report. A figure without anything to show is left out."""

from collections.abc import Callable

import plotly.graph_objects as go

from dashboard.figures import accuracy, confusion, differences, kept_task, training_size
from dashboard.figures.cells import in_table
from dashboard.figures.depth import depth, depth_table
from dashboard.figures.layers import layers, layers_table
from dashboard.figures.pairs import spread_note
from dashboard.figures.pareto import pareto, pareto_note, pareto_table
from dashboard.report.comparisons import compared
from dashboard.report.drawings import FEWEST_STEPS, Drawing, Made, rates
from dashboard.report.readers import Readers
from engine.architectures import CLASSIFIERS

BESIDE, COLUMN = 140, 110
"""Pixels beside a matrix, and of each of its columns at most."""
LAYERS = (
    "A line per part of the images; small dots: folds. In the first two panels more units learn from left to right, up "
    "to the whole network; their lines pass over steps that were not run."
)


def class_drawings(readers: Readers) -> list[Drawing]:
    """Accuracy, confusion, training-set size, what is left, paired differences, pairs, layers, cost."""
    made = (*_accuracy(readers), *_confusion(readers), *_against(readers), *rates(readers.findings), *_cells(readers))
    widest = BESIDE + COLUMN * len(readers.classes)
    return [
        Drawing(
            title=title,
            caption=caption,
            table=table,
            light=draw(False),
            dark=draw(True),
            widest=widest * _is_matrix(draw(False)),
        )
        for title, caption, table, draw in made
    ]


def _is_matrix(figure: go.Figure) -> bool:
    return any(isinstance(trace, go.Heatmap) for trace in figure.data)


def _accuracy(readers: Readers) -> Made:
    bars, beside = readers.bars, len(readers.published) > 0
    if not len(readers.measures):
        return
    title = "Accuracy of every network" + (" and person" if readers.people else "")
    yield (
        title + (", and the published ones" if beside else ""),
        accuracy.note(bars),
        bars,
        lambda dark: accuracy.accuracy(bars, dark=dark),
    )
    sizes = training_size.training_size_table(readers.measures)
    if sizes.loc[sizes["training_images"] > 0, "fraction"].nunique() > 1:
        caption = "Part of all test images that is right, with 95 % intervals. Dotted: start weights as they are."
        yield "Accuracy against training-set size", caption, sizes, _of(training_size.training_size, sizes)
    left = kept_task.kept_of_readers(readers.measures)
    start = kept_task.start_named(readers.findings.plan["start"])
    if len(left):
        caption = kept_task.kept_note("accuracy", start)
        draw = _of(kept_task.kept_task, left, measure="accuracy", start=start)
        yield "What adapting leaves of the old task", caption, left, draw


def _confusion(readers: Readers) -> Made:
    told = dict(readers.looked_at) if readers.by_name else {}
    told |= dict.fromkeys(readers.people, "a person")
    for name, what in told.items():
        table = confusion.confusion_table(readers.by_name[name], readers.classes)
        yield f"Confusion: {name} ({what})", confusion.note(table), table, _of(confusion.confusion, table)
    for name in readers.people:
        own, other = readers.by_name[name], readers.by_name[readers.reference]
        if name == readers.reference or not set(own["index"]) & set(other["index"]):
            continue
        table = confusion.difference_table(own, other, readers.classes)
        note = confusion.difference_note(table, name, readers.reference)
        yield (
            f"Errors of {name} minus those of {readers.reference}",
            note,
            table,
            _of(confusion.difference, table, reader=name, network=readers.reference),
        )


def _against(readers: Readers) -> Made:
    if len(readers.by_name) > 1:
        family = readers.family
        caption = differences.note(family.table, family.description)
        yield (
            f"Paired differences to {readers.reference}",
            caption,
            family.table,
            _of(differences.differences, family.table),
        )


def _cells(readers: Readers) -> Made:
    findings = readers.findings
    cells, pairs, measure = findings.marked_cells, compared(findings), findings.main.main
    table = depth_table(cells, pairs)
    both = table[table["mean"].notna()].groupby(["dataset", "pair", "fraction"])["side"].nunique()
    if (both == 2).any():
        caption = f"Means of complete cells over the parts of the images. {spread_note(table)}"
        yield "Pairs of strategies", caption, table, _of(depth, table, pairs, measure=measure)
    models = list(dict.fromkeys(in_table(findings.plan)["model"]))
    if len(models) == 1 and models[0] in CLASSIFIERS:
        every = layers_table(cells, models[0])
        for dataset in dict.fromkeys(every["dataset"]):
            part = every[every["dataset"] == dataset]
            if part.groupby(["direction", "grain"])["block"].nunique().max() >= FEWEST_STEPS:
                draw = _of(layers, part, measure=measure, model=models[0])
                yield f"Layer by layer, {dataset}", LAYERS, part, draw
    for row in findings.rows:
        own = cells[(cells["dataset"] == row.dataset) & (cells["fraction"] == row.fraction)]
        costs = pareto_table(own, row.fraction, reference=findings.reference, margin=findings.margin)
        if len(costs) > 1:
            note = pareto_note(costs, findings.margin)
            draw = _of(pareto, costs, measure=measure, margin=findings.margin)
            yield f"Accuracy and trained parameters, {row.label}", note, costs, draw


def _of(draw: Callable[..., go.Figure], *tables: object, **choices: object) -> Callable[[bool], go.Figure]:
    return lambda dark: draw(*tables, dark=dark, **choices)
