"""A model that is prompted in another way: with examples before the problem, or with the first words of its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from limo.core.prompts import Message
from limo.core.records import Problem
from limo.models.completer import Completer, CompletionGroup, Request, WrappedCompleter


class PromptedCompleter(WrappedCompleter):
    """Adds `shots` (user and assistant messages in turn) and the beginning of the answer to every request.

    The beginning is part of the completion that comes back.
    """

    def __init__(
        self, completer: Completer, shots: Sequence[Message] = (), begin: Callable[[Problem], str] | None = None
    ) -> None:
        super().__init__(completer)
        self._shots, self._begin = list(shots), begin

    def complete(self, requests: Iterator[Request]) -> Iterator[CompletionGroup]:
        """As the completer: the requests that come back are those that went in."""
        sent: dict[tuple[str, int], Request] = {}

        def prompted() -> Iterator[Request]:
            for request in requests:
                if request is not None:  # a completer that keeps requests open is told to wait by None
                    sent[request.problem.id, request.index] = request
                yield request if request is None else replace(request, messages=self._messages(request))

        for group in self.completer.complete(prompted()):
            yield [
                (sent.pop((r.problem.id, r.index)), replace(c, text=self._beginning(r.problem) + c.text))
                for r, c in group
            ]

    def _beginning(self, problem: Problem) -> str:
        return self._begin(problem) if self._begin else ""

    def _messages(self, request: Request) -> list[Message]:
        *system, user = request.messages
        begun = self._beginning(request.problem)
        return [*system, *self._shots, user, *([{"role": "assistant", "content": begun}] if begun else [])]
