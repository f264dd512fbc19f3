"""Which of several servers gets the next request, and which gets none for a while (a circuit breaker for each).

A request goes to the server with the fewest open ones, so a faster server gets more; one that has failed goes to
another server where there is one that is not busy.  A server that fails several
times in a row is left out for a time that doubles while it keeps failing, and is then tried with one request.  A busy
server (429) comes last for a while, and gets no request before the time that it names itself.  All servers together are
silent when each is failing and none holds a request that it may still be working on.

    servers = Servers(["http://a:8000/v1", "http://b:8000/v1"], cooldown_s=1.0)
    server, wait_s = servers.choose(now)
    number = server.begin(now);  servers.succeeded(server);  server.end(number)   # or failed(server, now, "reset")

`now` is seconds on any clock that only goes forward.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from limo.models.openai.client import CONNECT_S

MAX_FAILURES = 5  # in a row, that open the circuit: with one request in ten failing by chance, 1 in 100,000
MAX_WAIT_S = 60.0  # the longest that a server is left out, or a retry waits
MAX_RETRY_AFTER_S = 3600.0  # the longest that a server may name itself


@dataclass(slots=True)
class Server:
    """One address and what happened to its requests."""

    url: str
    began_s: dict[int, float] = field(default_factory=dict)  # its open requests: number and start, oldest first
    n_begun: int = 0
    n_failures: int = 0  # in a row
    n_cooldowns: int = 0  # in a row
    circuit_open_until_s: float = 0.0
    busy_until_s: float = 0.0
    retry_after_until_s: float = 0.0  # until when it wants no request, as it said itself
    busy_since_s: float | None = None  # None while it works
    failing_since_s: float | None = None  # the same
    last_error: str = ""
    was_reached: bool = False  # it took a connection once

    @property
    def n_open(self) -> int:
        """Requests that are open."""
        return len(self.began_s)

    def begin(self, now: float) -> int:
        """Count a request as open; its number."""
        self.n_begun += 1
        self.began_s[self.n_begun] = now
        return self.n_begun

    def end(self, number: int) -> None:
        """Count a request as closed, however it ended."""
        del self.began_s[number]

    @property
    def is_failing(self) -> bool:
        """Whether it failed so often in a row that it is tried with one request at a time."""
        return self.n_failures >= MAX_FAILURES


class Servers:
    """The servers of a model.  `cooldown_s` is how long one is left out the first time."""

    def __init__(self, urls: Iterable[str], cooldown_s: float, rng: random.Random | None = None) -> None:
        self.servers = [Server(url) for url in urls]
        self.cooldown_s = cooldown_s
        self._rng = rng or random.Random()

    @property
    def was_reached(self) -> bool:
        """Whether one of them took a connection since the start."""
        return any(server.was_reached for server in self.servers)

    def choose(self, now: float, failed_at: Container[str] = ()) -> tuple[Server | None, float]:
        """The server for the next request, or None and the seconds until there may be one.

        `failed_at`: addresses at which the request has failed; they come after the others that are not busy.
        """
        ready = [s for s in self.servers if not s.is_failing or (now >= s.circuit_open_until_s and not s.n_open)]
        free = [server for server in ready if now >= server.retry_after_until_s]
        if not free:
            untils = [max(server.circuit_open_until_s, server.retry_after_until_s) for server in self.servers]
            return None, max(min(untils) - now, self.cooldown_s / 10)
        rank = lambda s: (s.busy_until_s > now, s.url in failed_at, s.n_open, self._rng.random())  # noqa: E731
        return min(free, key=rank), 0.0

    def has_free(self, now: float) -> bool:
        """Whether a server takes requests that has neither failed nor said that it is busy."""
        return any(s.busy_until_s <= now and s.retry_after_until_s <= now and not s.n_failures for s in self.servers)

    def succeeded(self, server: Server) -> None:
        """The server replied as it should, be it with a refusal."""
        server.n_failures, server.n_cooldowns, server.was_reached = 0, 0, True
        server.failing_since_s = server.busy_since_s = None

    def failed(self, server: Server, now: float, error: str) -> None:
        """The server could not be reached, broke off or sent what is no completion."""
        held_s = now - next(iter(server.began_s.values()), now)
        if server.failing_since_s is None or (held_s > CONNECT_S and not server.is_failing):
            server.failing_since_s = now  # until now it worked, or worked on a request
        server.n_failures, server.last_error = server.n_failures + 1, error
        if not server.is_failing:
            return
        if now >= server.circuit_open_until_s:
            wait_s = min(self.cooldown_s * 2**server.n_cooldowns, MAX_WAIT_S)
            server.circuit_open_until_s = now + wait_s * self._rng.uniform(0.75, 1.25)
            server.n_cooldowns = min(server.n_cooldowns + 1, 16)

    def busy(self, server: Server, now: float, wait_s: float, error: str, retry_after_s: float = 0.0) -> None:
        """The server is overloaded and gets requests last for `wait_s`, and none for the `retry_after_s` that it wants.

        While it named a time nothing is expected of it; an hour in a row at most, or it could stay busy for ever.
        """
        server.last_error, server.was_reached = error, True
        server.busy_until_s = max(server.busy_until_s, now + wait_s)
        server.retry_after_until_s = max(server.retry_after_until_s, now + retry_after_s)
        server.failing_since_s = now if server.failing_since_s is None else server.failing_since_s
        server.busy_since_s = now if server.busy_since_s is None else server.busy_since_s
        if retry_after_s:
            hour_s = server.busy_since_s + MAX_RETRY_AFTER_S
            server.failing_since_s = max(server.failing_since_s, min(server.retry_after_until_s, hour_s))

    def waits_for(self, now: float) -> str:
        """The server that is free first, and what it does: it wants no request, fails, or works on one."""
        server = min(self.servers, key=lambda one: max(one.circuit_open_until_s, one.retry_after_until_s))
        if server.retry_after_until_s > now:
            return f"{server.url}, which wants no request for {server.retry_after_until_s - now:.0f} s"
        if server.n_failures:
            return f"{server.url}, which fails ({server.last_error})"
        open_s = now - min([*server.began_s.values()], default=now)
        return f"{server.url}, whose oldest request is open for {open_s:.0f} s" if open_s else server.url

    def silent_s(self, since_s: float, now: float) -> float:
        """For how many seconds, counted from `since_s` at the earliest, all servers have failed; 0 while one works.

        A server works that holds a request for longer than connecting takes.
        """
        for server in self.servers:
            oldest_s = next(iter(server.began_s.values()), now)
            if server.failing_since_s is None or now - oldest_s > CONNECT_S:
                return 0.0
            since_s = max(since_s, server.failing_since_s)
        return max(now - since_s, 0.0)
