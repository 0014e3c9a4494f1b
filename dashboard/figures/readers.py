"""Who classifies frames, and how pages call them."""

from collections.abc import Mapping
from typing import Any

from dashboard.figures.answer import network_name
from engine.trial import AS_PRETRAINED

NETWORK, PERSON = "network", "person"
"""Kinds of readers."""
OUT_OF_THE_BOX = "out of the box"
"""Start weights that are tested as they are (Pasdeloup et al. 2018)."""
KNOWN_SCANNER = "known scanner, out of the box"
"""The same on held-out images of what they were trained on."""


def shown_strategy(name: str) -> str:
    """A strategy as pages of classification call it."""
    return OUT_OF_THE_BOX if name == AS_PRETRAINED else name


def short_network(model: str) -> str:
    """`CVCNet`: the network's name without what is said of it once on the page."""
    return network_name(model).split(" (")[0]


def reader_name(row: Mapping[Any, Any], *, several_starts: bool = False) -> str:
    """`VGG16 · FC6-8 · 80 %` of a trial, with its start weights' name where there are several."""
    names = [short_network(str(row["model"])), shown_strategy(str(row["strategy"]))]
    names += [] if row["strategy"] == AS_PRETRAINED else [f"{row['fraction']:g} %"]
    return " · ".join([*names, *([str(row["start"])] if several_starts and row["start"] else [])])
