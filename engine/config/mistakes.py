"""A mistake in a study, and the checks that many fields share. Pure; needs no torch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.config.reading import Key, dotted

LARGEST_SEED = 2**63 - 1
"""What a table of results holds as a whole number."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One thing that a study says and cannot mean."""

    key: Key
    text: str
    needs: tuple[Key, ...] = ()
    """Other keys that the check looked at; where one of them is wrong itself, this mistake may not be one."""


def unused(section: Key, name: str, kind: str, other: str) -> Mistake:
    """A key that means nothing with this kind of section."""
    shown = dotted(section)
    return Mistake(
        key=(*section, name),
        text=f"'{shown}.{name}' has no use while '{shown}.kind' is '{kind}'; remove it, or write 'kind: {other}'",
        needs=((*section, "kind"),),
    )


def at_least(key: Key, value: int, least: int) -> Iterator[Mistake]:
    """A whole number that is too small."""
    if value < least:
        verb = "has" if isinstance(key[-1], int) else "is"
        yield Mistake(key=key, text=f"'{dotted(key)}' {verb} {_shown(value)}; expected {least} or more")


def non_negative_seed(key: Key, value: int) -> Iterator[Mistake]:
    """A seed that no table of results could hold."""
    yield from at_least(key, value, 0)
    if value > LARGEST_SEED:
        yield Mistake(key=key, text=f"'{dotted(key)}' is {value}; expected {LARGEST_SEED} at most")


def between(key: Key, value: float | int, least: float | int, most: float | int) -> Iterator[Mistake]:
    """A number outside its range."""
    if not least <= value <= most:
        yield Mistake(key=key, text=f"'{dotted(key)}' is {_shown(value)}; expected {_shown(least)} to {_shown(most)}")


def unique(key: Key, values: Sequence[object]) -> Iterator[Mistake]:
    """An axis without a value, or with one twice."""
    if not values:
        yield Mistake(key=key, text=f"'{dotted(key)}' is an empty list; expected one value at least")
    for value, count in Counter(values).items():
        if count > 1:
            place = len(values) - 1 - list(reversed(values)).index(value)
            yield Mistake(key=(*key, place), text=f"'{dotted(key)}' has {_shown(value)} {count} times; keep it once")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
