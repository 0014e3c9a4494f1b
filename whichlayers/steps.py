"""Conditions on a manifest's columns on the command line, and the steps of `check`'s funnel in the order given."""

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import typer
from typer.core import TyperCommand

from engine.errors import StudyFileError

if TYPE_CHECKING:
    from engine.datasets.funnel import Step

_ORDER = "whichlayers.steps.order"


class StepsInOrder(TyperCommand):
    """A command that remembers in which order its options were given, which their values alone do not tell."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command's."""
        if args:
            ctx.meta[_ORDER] = [option.name for option in self.make_parser(ctx).parse_args(args=list(args))[2]]
        return super().parse_args(ctx, args)


def conditions(option: str, texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Column and values of each `COLUMN=VALUE[,VALUE]`, whose values are quoted as in a manifest, a CSV file.

    Raises StudyFileError with a line for each that is none.
    """
    found, wrong = [], []
    for text in texts:
        column, equals, values = text.partition("=")
        try:
            found.append((column, next(csv.reader([values], strict=True)) or [""]))
        except csv.Error as error:
            wrong.append(f"--{option} {text}: {error}; write 'label=\"a, b\",c' for the values 'a, b' and 'c'")
        if not equals:
            wrong.append(f"--{option} {text}: expected COLUMN=VALUE, such as label=benign")
    if wrong:
        raise StudyFileError(wrong)
    return found


def steps_in_order(context: typer.Context, *, keep: Sequence[str], drop: Sequence[str]) -> "list[Step]":
    """The steps of `--keep` and `--drop`, in the order of the command line. Raises as `conditions`."""
    from engine.datasets.funnel import Step

    options: tuple[Literal["keep", "drop"], ...] = ("keep", "drop")
    given = {"keep": conditions("keep", keep), "drop": conditions("drop", drop)}
    order = context.meta.get(_ORDER, [])
    places = {option: [place for place, name in enumerate(order) if name == option] for option in options}
    steps = [
        (place, Step(column=column, values=tuple(dict.fromkeys(values)), option=option))
        for option in options
        for place, (column, values) in zip(places[option], given[option], strict=True)
    ]
    return [step for _, step in sorted(steps, key=lambda found: found[0])]
