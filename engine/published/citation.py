"""Where published numbers come from, and reading their files."""

from dataclasses import dataclass
from importlib.resources import files

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where published numbers come from."""

    authors: str
    title: str
    journal: str
    year: int
    doi: str
    """"" where the text at hand names none."""

    @property
    def short(self) -> str:
        """`Amiri, Brooks, Rivaz 2020`."""
        return f"{self.authors} {self.year}"

    @property
    def url(self) -> str:
        """The DOI as a link; "" without one."""
        return f"https://doi.org/{self.doi}" if self.doi else ""


def read(name: str) -> pd.DataFrame:
    """The table `name`.csv of this package, read afresh; what is missing there is NaN."""
    with files("engine.published").joinpath(f"{name}.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream)
