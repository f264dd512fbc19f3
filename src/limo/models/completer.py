"""What every source of completions looks like to the loop that asks.

A completer pulls requests when it has room for them and hands back finished ones in groups.  The loop behind the
iterator can therefore stop asking about a problem as soon as it is decided, and what is handed back together is
written down together.  `http`, `local` and `replay` all fit: a server with thousands in flight pulls thousands.

    for group in completer.complete(iter(requests)):
        for request, completion in group:
            print(request.problem.id, request.index, completion.finish_reason)

A request that fails comes back as a completion with finish_reason `error` and the reason in `error`; only what would
fail for every request (no such model, no disk) is an exception.

A completer that works on many requests at once may also have:

- `waits = True`: its iterator of requests may yield None, which means nothing now, ask again after the next group;
- `eager`: it would rather ask ahead of what is surely needed than leave a slot empty;
- `cancel(problem_ids)`: gives up open requests, which then come back with the finish reason `cancelled`;
- `stops = True`: ends a completion at the `stop` texts of its sampling; others are not asked with any;
- `forgives = True`: what failed is asked again at the next start;
- `identity`: a hash of what it draws from, so that a ledger notices another model under the same name.

What it does not do: choose what to ask (run does), or store anything (the ledger does).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from limo.core.prompts import Message
from limo.core.records import Completion, Problem, Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt to be asked for: `messages` is the whole chat before the answer, `index` counts from 0."""

    problem: Problem
    messages: list[Message] = field(hash=False)
    sampling: Sampling
    index: int


CANCELLED = "cancelled"  # finish reason of a request that was given up: no rollout, only counted
Group = list[tuple[Request, Completion]]


class Completer(Protocol):
    """A model that answers.  `name` is what the ledger calls it."""

    name: str

    def complete(self, requests: Iterator[Request]) -> Iterator[Group]:
        """Pull requests as there is room, yield each exactly once with its completion, in any order and grouping.

        A completer must not pull the next request before it has yielded what is finished, unless it can run both.
        """
        ...
