"""Which of several servers is asked next, and which is left alone for a while.

A request goes to the server with the fewest open ones, so a faster server gets more.  A server that fails several
times in a row is left alone for a time that doubles while it keeps failing, and is then tried with one request (a
circuit breaker).  A server that says it is busy is asked last until the time that it named is over.  The fleet is
silent when every server is in trouble and none holds a request that it may still be thinking about: a long thought is
no silence, however many other requests fail meanwhile.

    fleet = Fleet(["http://a:8000/v1", "http://b:8000/v1"], cool_s=1.0)
    server, wait_s = fleet.choose(now)
    ticket = server.begin(now);  fleet.worked(server);  server.end(ticket)      # or fleet.failed(server, now, "reset")

What it does not do: open a connection, or sleep; `now` is seconds on any clock that only goes forward.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

IN_A_ROW = 5  # failures that open the circuit: with one request in ten failing by chance, 1 in 100,000
LONGEST_S = 60.0  # the longest that a server is left alone between two tries
CONNECT_S = 30.0  # the longest that connecting may take: a request that is open for longer is being worked on


@dataclass(slots=True)
class Server:
    """One address and what is known of it."""

    url: str
    opened: dict[int, float] = field(default_factory=dict)  # the open requests and when they began, oldest first
    n_begun: int = 0
    n_failed: int = 0  # in a row
    n_trips: int = 0
    closed_until_s: float = 0.0
    busy_until_s: float = 0.0
    trouble_s: float | None = None  # since when it has done nothing but fail, or say that it is busy
    said: str = ""  # its last failure

    @property
    def n_open(self) -> int:
        """Requests that it holds."""
        return len(self.opened)

    def begin(self, now: float) -> int:
        """A request goes to this server; the ticket with which it ends."""
        self.n_begun += 1
        self.opened[self.n_begun] = now
        return self.n_begun

    def end(self, ticket: int) -> None:
        """The request is over, however it ended."""
        del self.opened[ticket]

    @property
    def broken(self) -> bool:
        """Whether it failed so often that only single tries are let through."""
        return self.n_failed >= IN_A_ROW


class Fleet:
    """The servers.  `cool_s` is how long a server is left alone after its first row of failures."""

    def __init__(self, urls: Iterable[str], cool_s: float, rng: random.Random | None = None) -> None:
        self.servers = [Server(url) for url in urls]
        self.cool_s = cool_s
        self._rng = rng or random.Random()

    def choose(self, now: float) -> tuple[Server | None, float]:
        """The server to ask, or None and the seconds until one may be asked again."""
        ready = [one for one in self.servers if not one.broken or (now >= one.closed_until_s and not one.n_open)]
        if not ready:
            soonest = min(max(one.closed_until_s - now, 0.0) for one in self.servers)
            return None, max(soonest, self.cool_s / 10)
        if len(ready) == 1:
            return ready[0], 0.0
        return min(ready, key=lambda one: (one.busy_until_s > now, one.n_open, self._rng.random())), 0.0

    def worked(self, server: Server) -> None:
        """The server answered as it should, be it with a refusal."""
        server.n_failed = server.n_trips = 0
        server.trouble_s = None

    def failed(self, server: Server, now: float, said: str) -> None:
        """The server could not be reached, broke off or answered nonsense."""
        server.n_failed, server.said = server.n_failed + 1, said
        if not server.broken:
            return
        server.trouble_s = now if server.trouble_s is None else server.trouble_s
        if now >= server.closed_until_s:
            wait_s = min(self.cool_s * 2**server.n_trips, LONGEST_S)
            server.closed_until_s = now + wait_s * self._rng.uniform(0.75, 1.25)
            server.n_trips = min(server.n_trips + 1, 16)

    def busy(self, server: Server, now: float, wait_s: float, said: str, asked: bool = False) -> None:
        """The server said that it has too much to do; `asked`: and when to come back."""
        server.busy_until_s, server.said = max(server.busy_until_s, now + wait_s), said
        if asked:
            server.trouble_s = server.busy_until_s  # until then nobody expects anything of it
        elif server.trouble_s is None:
            server.trouble_s = now

    def silent_s(self, since_s: float, now: float) -> float:
        """For how many seconds no server has worked, counted from `since_s` at the earliest; 0 while one may yet."""
        since = since_s
        for server in self.servers:
            if server.trouble_s is None or any(now - began > CONNECT_S for began in islice(server.opened.values(), 1)):
                return 0.0
            since = max(since, server.trouble_s)
        return max(now - since, 0.0)


def backoff_s(attempt: int, base_s: float, rng: random.Random) -> float:
    """Seconds before try `attempt` + 1: anywhere up to a bound that doubles, so that many do not come back at once."""
    return rng.uniform(0, min(base_s * 2**attempt, LONGEST_S))
