"""An attempt's way into a store that may refuse it for a while: its disk is full, or it cannot be reached."""

import time
from collections.abc import Callable

from engine.errors import StoreError
from engine.store import Store
from engine.trial import Attempt

WAIT_SECONDS = 120.0
"""How long a worker holds on to what it trained, while somebody makes room."""
PAUSE_SECONDS = 1.0


def keep(
    store: Store,
    study: str,
    attempt: Attempt,
    weights: bytes | None,
    tell: Callable[[str], None],
    *,
    wait_seconds: float = WAIT_SECONDS,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Commit an attempt; where the store refuses, tell its reason and try again for so many seconds.

    Raises StoreError with the reason where it still refuses then.
    """
    begun = time.monotonic()
    while True:
        try:
            store.append(study, attempt, weights=weights)
            return
        except StoreError as error:
            if time.monotonic() - begun >= wait_seconds:
                raise
            tell(str(error))
        time.sleep(pause_seconds)
