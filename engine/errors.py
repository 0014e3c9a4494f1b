"""The tree of exceptions that a user may see.

    WhichLayersError
    ├── StudyFileError     a study file says something that cannot be run
    ├── DataError          images, masks or a manifest that cannot be used
    ├── StrategyError      a strategy or unit that the network does not have
    ├── WeightsError       start weights or trained weights that do not fit
    ├── StoreError         results that cannot be read or written
    └── FrozenChangedError a frozen unit differs after training (fails the trial)

The command line prints `problems`, a line each, and exits with 2; a page shows them in place.
"""

from collections.abc import Sequence


class WhichLayersError(Exception):
    """A mistake that the user can put right: one line per problem (place, value, remedy)."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["WhichLayersError"], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class StudyFileError(WhichLayersError):
    """A study file says something that cannot be run."""


class DataError(WhichLayersError):
    """Images, masks or a manifest that cannot be used."""


class StrategyError(WhichLayersError):
    """A strategy or unit that the network does not have."""


class WeightsError(WhichLayersError):
    """Start weights or trained weights that do not fit."""


class StoreError(WhichLayersError):
    """Results that cannot be read or written."""


class FrozenChangedError(WhichLayersError):
    """A frozen unit differs after training: the trial's numbers would not mean what its row says."""
