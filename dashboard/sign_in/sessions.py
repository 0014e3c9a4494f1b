"""Who is signed in: a signed cookie in the browser, and here only those that were ended before their time."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who signed in."""

    number: str
    who: str
    until: float
    """Seconds since 1970."""


class Sessions:
    """Makes cookies and reads them. The key lives as long as the server: after a start everybody signs in anew."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="signed in")
        self._ended: dict[str, float] = {}
        self._open: dict[str, set[asyncio.Event]] = {}

    def begin(self, who: str) -> str:
        """The cookie of somebody who has just shown who they are."""
        return str(self._signer.dumps([secrets.token_urlsafe(12), who]))

    def read(self, cookie: str) -> Session | None:
        """Whose cookie it is; None where it was not made here, is too old, or was ended."""
        try:
            (number, who), begun = self._signer.loads(cookie, max_age=int(self.seconds), return_timestamp=True)
        except (BadData, ValueError, TypeError):
            return None
        if number in self._ended:
            return None
        return Session(number=number, who=who, until=begun.timestamp() + self.seconds)

    def end(self, cookie: str) -> None:
        """The cookie is worth nothing from now on, and what is open with it (`open_with`) is told."""
        now = time.time()
        self._ended = {number: until for number, until in self._ended.items() if until > now}
        session = self.read(cookie)
        if session is None:
            return
        self._ended[session.number] = session.until
        for told in self._open.get(session.number, ()):
            told.set()

    @contextmanager
    def open_with(self, session: Session) -> Iterator[asyncio.Event]:
        """Set when the session ends by hand; for connections that stay open."""
        told = asyncio.Event()
        self._open.setdefault(session.number, set()).add(told)
        try:
            yield told
        finally:
            others = self._open[session.number]
            others.discard(told)
            if not others:
                del self._open[session.number]
