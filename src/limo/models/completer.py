"""The interface of every source of completions: an HTTP server, a model in this process, or recordings.

A completer pulls requests from an iterator when it has room for them and yields finished ones in groups, so its caller
can stop requesting rollouts of a problem as soon as the problem is decided, and stores each group in one transaction.

    for group in completer.complete(iter(requests)):
        for request, completion in group:
            print(request.problem.id, request.index, completion.finish_reason)

A request that fails comes back as a completion with finish_reason `error` and the reason in `error`; only what would
fail for every request (no such model, no disk) is an exception.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from limo.core.errors import ModelError
from limo.core.prompts import Message
from limo.core.records import Completion, Problem, Sampling

FIRST_REQUESTS = 20  # our choice: when more than half of so many fail, `FailureGuard` ends the run
CANCELLED = "cancelled"
"""Finish reason of a request that was cancelled: it makes no rollout and is only counted."""


@dataclass(frozen=True, slots=True)
class Request:
    """One rollout to generate: `messages` is the whole chat before the completion, `index` counts from 0."""

    problem: Problem
    messages: list[Message] = field(hash=False)
    sampling: Sampling
    index: int


CompletionGroup = list[tuple[Request, Completion]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a completer supports, read by `limo.rollouts.collect`.

    `concurrent`: keeps requests open while it pulls more; its iterator of requests may yield None, which means that
    there is nothing to request before another group is finished.
    `speculative`: uses free slots for rollouts that may turn out not to be needed.
    `stop_texts`: ends a completion at the `stop` texts of its sampling; other completers get no sampling with any.
    `retries_errors`: a rollout that failed says nothing about the model, so the next start requests it again.
    `identity`: hash of what completions are drawn from, so that a ledger notices another model under the same name;
    '' where it is not known.
    """

    concurrent: bool = False
    speculative: bool = False
    stop_texts: bool = False
    retries_errors: bool = False
    identity: str = ""


class Completer(Protocol):
    """A model that completes chats; `name` is what the ledger calls it.  Subclass it to inherit the defaults."""

    name: str
    capabilities: Capabilities = Capabilities()

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """Pull requests as there is room, yield each exactly once with its completion, in any order and grouping.

        A completer that is not `concurrent` must not pull the next request before it has yielded what is finished.  An
        empty group says that nothing was for a while; see `waits_for`.
        """
        ...

    def cancel(self, problem_ids: Iterable[str]) -> None:
        """Cancel open requests of these problems, which then come back with finish reason `cancelled`.

        Does nothing where a completer cannot cancel.
        """
        return

    def stop_waiting(self) -> int:
        """Give up the requests that only wait for their next try; how many.

        They come back with finish reason `cancelled`, as do those that would wait later.  A completer that never waits
        has none.
        """
        return 0

    def waits_for(self) -> str:
        """In words what is waited for, as the server that does not answer; '' where nothing is known of it."""
        return ""

    def longest_s(self) -> float:
        """Seconds that what is under way takes at most, where no request waits for another try; 0 if not known."""
        return 0.0


class WrappedCompleter(Completer):
    """Passes everything on to another completer; what wraps one overrides what it changes, and forgets nothing."""

    def __init__(self, completer: Completer) -> None:
        self.completer, self.name, self.capabilities = completer, completer.name, completer.capabilities

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """As the completer."""
        return self.completer.complete(requests)

    def cancel(self, problem_ids: Iterable[str]) -> None:
        """As the completer."""
        self.completer.cancel(problem_ids)

    def stop_waiting(self) -> int:
        """As the completer."""
        return self.completer.stop_waiting()

    def waits_for(self) -> str:
        """As the completer."""
        return self.completer.waits_for()

    def longest_s(self) -> float:
        """As the completer."""
        return self.completer.longest_s()


class FailureGuard(WrappedCompleter):
    """Passes on what a completer yields; raises ModelError when more than half of the first 20 requests failed."""

    def __init__(self, completer: Completer) -> None:
        super().__init__(completer)
        self._errors: list[str] = []  # of the first requests, '' where a completion came

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """As the completer; a group is yielded, and so stored, before the error is raised."""
        groups = self.completer.complete(requests)
        try:
            for group in groups:
                yield group
                completions = [completion for _, completion in group if completion.finish_reason != CANCELLED]
                errors = [c.error or "failed" if c.finish_reason == "error" else "" for c in completions]
                self._errors += errors[: FIRST_REQUESTS - len(self._errors)]
                n_failed = sum(map(bool, self._errors))
                if len(self._errors) == FIRST_REQUESTS and n_failed > FIRST_REQUESTS // 2:
                    what = f"{n_failed} of the first {FIRST_REQUESTS} requests to {self.name} failed"
                    do = "mend the server or the recipe; the same command requests the failed ones again"
                    raise ModelError(what, next(filter(None, self._errors)), "half of them at most", do)
        finally:
            if isinstance(groups, Generator):
                groups.close()  # the open requests end now, not when the memory is freed
