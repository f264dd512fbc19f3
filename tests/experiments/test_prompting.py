"""A model that is prompted otherwise: its requests come back as they were, its completions with their beginning."""

from __future__ import annotations

import pytest

from limo.core.prompts import messages
from limo.core.records import Completion, Problem, Sampling
from limo.experiments.prompting import PromptedCompleter
from limo.models.completer import Completer, FailureGuard, Request, WrappedCompleter

SHOTS = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "\\boxed{2}"}]


class Echo(Completer):
    """Completes in groups of two, the last first; keeps the chats that it was sent."""

    def __init__(self):
        self.name, self.chats, self.cancelled = "echo", [], []

    def complete(self, requests):
        group = []
        for request in requests:
            if request is not None:
                self.chats.append(request.messages)
                group.insert(0, (request, Completion(f" and {request.index}")))
            if len(group) == 2:
                yield group
                group = []
        if group:
            yield group

    def cancel(self, problem_ids):
        self.cancelled += problem_ids


def requests():
    problems = [Problem.make(f"{name}: what?", "1") for name in "KLM"]
    return [Request(problem, messages(problem.problem, "Think."), Sampling(), 0) for problem in problems]


def test_examples_stand_between_the_system_text_and_the_problem():
    model = Echo()
    found = [pair for group in PromptedCompleter(model, SHOTS).complete(iter(requests())) for pair in group]
    assert [[m["role"] for m in chat] for chat in model.chats] == [["system", "user", "assistant", "user"]] * 3
    assert {request.problem.id for request, _ in found} == {request.problem.id for request in requests()}
    assert all(request in requests() for request, _ in found), "a request comes back as it went in"


def test_a_beginning_is_continued_and_is_part_of_the_completion():
    model = Echo()
    begin = lambda problem: problem.problem[:2]  # noqa: E731
    found = [pair for group in PromptedCompleter(model, begin=begin).complete(iter(requests())) for pair in group]
    assert [chat[-1] for chat in model.chats] == [{"role": "assistant", "content": f"{name}:"} for name in "KLM"]
    assert sorted(completion.text for _, completion in found) == ["K: and 0", "L: and 0", "M: and 0"]


def test_a_pause_of_the_requests_and_a_cancellation_reach_the_model():
    model = Echo()
    prompted = PromptedCompleter(model, SHOTS)
    first, *rest = requests()
    assert sum(len(group) for group in prompted.complete(iter([first, None, *rest]))) == 3
    prompted.cancel(["p1"])
    assert model.cancelled == ["p1"]


@pytest.mark.parametrize("wrap", [WrappedCompleter, PromptedCompleter, FailureGuard])
def test_whatever_wraps_a_completer_passes_on_what_it_waits_for_and_that_it_should_not(wrap):
    model = Echo()
    model.waits_for, model.stop_waiting, model.longest_s = lambda: "a server", lambda: 3, lambda: 9.0
    wrapped = wrap(model)
    assert (wrapped.waits_for(), wrapped.stop_waiting(), wrapped.longest_s()) == ("a server", 3, 9.0)
    assert (wrapped.name, wrapped.capabilities) == (model.name, model.capabilities)
