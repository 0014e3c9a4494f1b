"""A lock that is given in the order in which it was asked for, so that a long clip lets single frames in between."""

from collections import deque
from threading import Condition
from types import TracebackType


class Turns:
    """As `threading.Lock`, first come first served: whoever releases it and asks again is the last in the row."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[object] = deque()
        self._taken = False

    def acquire(self, timeout: float = -1) -> bool:
        """Wait for the turn, at most `timeout` seconds (-1: as long as it takes); False where it did not come."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            come = self._changed.wait_for(
                lambda: not self._taken and self._waiting[0] is ticket, None if timeout < 0 else timeout
            )
            self._waiting.remove(ticket)
            if come:
                self._taken = True
            else:
                self._changed.notify_all()
            return come

    def release(self) -> None:
        """Hand the turn on."""
        with self._changed:
            if not self._taken:
                raise RuntimeError("released a turn that nobody has")
            self._taken = False
            self._changed.notify_all()

    def __enter__(self) -> "Turns":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
