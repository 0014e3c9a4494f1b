"""Which tab a reader is open in: a second one is told, and goes on only where it is said so."""

import time
from collections.abc import Callable
from threading import Lock

Key = tuple[str, str]
"""Study and reader."""
FORGET_SECONDS = 90.0
"""A tab that was not heard of for so long is gone: its browser sleeps, or was ended by force."""


class Tabs:
    """The tab of each reader, as long as it says that it is there."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()
        self._held: dict[Key, tuple[str, float]] = {}

    def hold(self, key: Key, tab: str, *, take: bool = False) -> bool:
        """Whether the reader is open in this tab from now on: it was, no other is there, or it is taken."""
        with self._lock:
            other, seen = self._held.get(key, (tab, 0.0))
            if other != tab and not take and self._now() - seen < FORGET_SECONDS:
                return False
            self._held[key] = tab, self._now()
            return True

    def leave(self, key: Key, tab: str) -> None:
        """The tab is closed."""
        with self._lock:
            if self._held.get(key, ("", 0.0))[0] == tab:
                del self._held[key]
