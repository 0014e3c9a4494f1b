"""Which networks of a user's own may be imported: those that somebody named to the command, never a store's word."""

import os
import re
from collections.abc import Iterable

from engine.errors import StoreError, StudyFileError

VARIABLE = "WHICHLAYERS_OWN_NETWORKS"
"""Names of networks, with spaces between them; processes that this one starts inherit it."""
OWN_NETWORK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
"""`package.module:build`."""


def allow(networks: Iterable[str]) -> None:
    """Let networks be imported by this process and by those that it starts. Raises StudyFileError."""
    named = list(networks)
    for name in named:
        if not OWN_NETWORK.fullmatch(name):
            raise StudyFileError(f"--own-network {name!r}: expected package.module:build, as the study names it")
    if named:
        os.environ[VARIABLE] = " ".join(dict.fromkeys([*allowed(), *named]))


def allowed() -> list[str]:
    """The networks that may be imported."""
    return os.environ.get(VARIABLE, "").split()


def require_allowed(network: str) -> None:
    """Raises StoreError where nobody allowed this network's code."""
    if network not in allowed():
        raise StoreError(
            f"network {network!r} is code that a study names and nobody allowed here; if you trust it, give the "
            f"command --own-network {network!r} ('whichlayers serve' for pages), or name it in {VARIABLE}"
        )
