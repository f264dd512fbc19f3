"""Which of several servers is asked next, and which is left alone for a while.

A request goes to the server with the fewest open ones, so a faster server gets more.  A server that fails several
times in a row is left alone for a time that doubles while it keeps failing, and is then tried with one request (a
circuit breaker).  A server that says it is busy is asked last until the time that it named is over.

    fleet = Fleet(["http://a:8000/v1", "http://b:8000/v1"], cool_s=1.0)
    server, wait_s = fleet.choose(now)
    server.took();  fleet.worked(server, now)      # or fleet.failed(server, now)

What it does not do: open a connection, or sleep; `now` is seconds on any clock that only goes forward.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

IN_A_ROW = 5  # failures that open the circuit: with one request in ten failing by chance, 1 in 100,000
LONGEST_S = 60.0  # the longest that a server is left alone between two tries


@dataclass(slots=True)
class Server:
    """One address and what is known of it."""

    url: str
    n_open: int = 0
    n_failed: int = 0  # in a row
    n_trips: int = 0
    closed_until_s: float = 0.0
    busy_until_s: float = 0.0
    said: str = ""  # its last failure

    @property
    def broken(self) -> bool:
        """Whether it failed so often that only single tries are let through."""
        return self.n_failed >= IN_A_ROW


class Fleet:
    """The servers.  `cool_s` is how long a server is left alone after its first row of failures."""

    def __init__(self, urls: Iterable[str], cool_s: float, rng: random.Random | None = None) -> None:
        self.servers = [Server(url) for url in urls]
        self.cool_s = cool_s
        self.heard_s: float | None = None  # when a server last did what it should
        self._rng = rng or random.Random()

    def choose(self, now: float) -> tuple[Server | None, float]:
        """The server to ask, or None and the seconds until one may be asked again."""
        ready = [one for one in self.servers if not one.broken or (now >= one.closed_until_s and not one.n_open)]
        if not ready:
            soonest = min(max(one.closed_until_s - now, 0.0) for one in self.servers)
            return None, max(soonest, self.cool_s / 10)
        return min(ready, key=lambda one: (one.busy_until_s > now, one.n_open, self._rng.random())), 0.0

    def worked(self, server: Server, now: float) -> None:
        """The server answered as it should, be it with a refusal."""
        server.n_failed = server.n_trips = 0
        self.heard_s = now

    def failed(self, server: Server, now: float, said: str) -> None:
        """The server could not be reached, broke off or answered nonsense."""
        server.n_failed, server.said = server.n_failed + 1, said
        if server.broken and now >= server.closed_until_s:
            wait_s = min(self.cool_s * 2**server.n_trips, LONGEST_S)
            server.closed_until_s = now + wait_s * self._rng.uniform(0.75, 1.25)
            server.n_trips = min(server.n_trips + 1, 16)

    def busy(self, server: Server, now: float, wait_s: float, said: str) -> None:
        """The server said that it has too much to do."""
        server.busy_until_s, server.said = max(server.busy_until_s, now + wait_s), said

    def silent_s(self, since_s: float, now: float) -> float:
        """Seconds since any server did what it should, counted from `since_s` at the earliest."""
        return now - max(since_s, self.heard_s if self.heard_s is not None else since_s)


def backoff_s(attempt: int, base_s: float, rng: random.Random) -> float:
    """Seconds before try `attempt` + 1: anywhere up to a bound that doubles, so that many do not come back at once."""
    return rng.uniform(0, min(base_s * 2**attempt, LONGEST_S))
