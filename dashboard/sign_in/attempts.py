"""How long the next attempt to sign in must wait: by the address that it comes from, and in all."""

import ipaddress
from collections import OrderedDict, deque

FREE = 5
"""Attempts of an address that wait for nothing."""
LONGEST_WAIT = 900.0
"""Seconds; after the free attempts each one waits twice as long as the one before."""
FORGOTTEN_AFTER = 3600.0
"""Seconds after which an address that tries no more starts anew."""
IN_ALL, IN_ALL_SECONDS = 30, 60.0
"""Attempts that failed, of all addresses together, in so many seconds: a guesser with many addresses gets no more."""
ADDRESSES_KEPT = 10_000


class Attempts:
    """Counts attempts from when they begin, so that many at once gain nothing. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._all: deque[float] = deque()

    def begin(self, address: str, now: float) -> float:
        """0 where an attempt may be made now, which then counts as failed until `succeeded`; else seconds to wait."""
        place = network(address)
        while self._all and self._all[0] <= now - IN_ALL_SECONDS:
            self._all.popleft()
        count, last = self._of.get(place, (0, now))
        if now - last >= FORGOTTEN_AFTER:
            count = 0
        own = last + wait_after(count) - now if count else 0.0
        together = self._all[0] + IN_ALL_SECONDS - now if len(self._all) >= IN_ALL else 0.0
        if (wait := max(own, together)) > 0:
            return wait
        self._of[place] = (count + 1, now)
        self._of.move_to_end(place)
        while len(self._of) > ADDRESSES_KEPT:
            self._of.popitem(last=False)
        self._all.append(now)
        return 0.0

    def succeeded(self, address: str) -> None:
        """The attempt that was begun last from this address was right: it and those before it are forgotten."""
        self._of.pop(network(address), None)
        if self._all:
            self._all.pop()


def wait_after(failed: int) -> float:
    """Seconds between an attempt and the next, after so many that failed in a row."""
    return 0.0 if failed < FREE else min(LONGEST_WAIT, 2.0 ** min(failed - FREE, 20))


def network(address: str) -> str:
    """Addresses that one guesser has: an IPv4 address, an IPv6 network of 64 bits; other texts as they are."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
