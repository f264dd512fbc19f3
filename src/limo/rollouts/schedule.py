"""What to ask next: a pure rule over what is answered, so that a run killed and started again asks the same.

Every rollout has a fixed place in one order: attempts in blocks of as many as are surely needed at the start (four of
"1 to 3 of 32", all n without a band), and within a block problems by the length of their statement, which keeps a
batch's prompts alike.  The first open request of an undecided problem comes next.  A problem whose outstanding
requests could decide it waits, unless nobody else has anything to ask.

    schedule = Schedule(problems, n=32, band=Band(1, 3, 32))
    problem, index = schedule.next()
    schedule.answered(problem.id, index, "correct")

What it does not do: ask, verify or store (run does).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from limo.records import Outcome, Problem
from limo.rollouts.stopping import Band, fewest_more

Place = tuple[int, int, str]


@dataclass(slots=True)
class _State:
    """One problem: the outcome of each answered attempt, how many are outstanding, the next to ask."""

    problem: Problem
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    n_outstanding: int = 0
    next_index: int = 0
    n_correct: int = 0
    n_undecided: int = 0
    waiting: bool = False


class Schedule:
    """The open requests about `problems` (each id once), n attempts each, fewer where `band` is decided before."""

    def __init__(self, problems: Iterable[Problem], n: int, band: Band | None) -> None:
        self.n, self.band = n, band
        self.block = fewest_more(band, 0, 0) or 1 if band else n
        self._states = {problem.id: _State(problem) for problem in problems}
        self._queue: list[Place] | None = None  # built at the first `next`, when what is known has been told
        self._waiting: set[Place] = set()

    def answered(self, problem_id: str, index: int, outcome: Outcome) -> None:
        """Tell what an attempt gave, asked by this schedule or known from before; an index from n on is no matter."""
        state = self._states.get(problem_id)
        if state is None or index >= self.n or index in state.outcomes:
            return
        state.outcomes[index] = outcome
        state.n_correct += outcome == "correct"
        state.n_undecided += outcome == "undecided"
        if self._queue is not None and state.n_outstanding:
            state.n_outstanding -= 1
            if state.waiting:
                state.waiting = False
                self._waiting.discard(self._place(state))
                heappush(self._queue, self._place(state))

    def next(self) -> tuple[Problem, int] | None:
        """The request that comes next, now outstanding; None when there will never be another."""
        if self._queue is None:
            self._queue = [self._place(s) for s in self._states.values() if self._advance(s)]
            heapify(self._queue)
        while self._queue:
            state = self._states[heappop(self._queue)[2]]
            n_more = self.n_more(state.problem.id)
            if n_more > state.n_outstanding:
                return self._ask(state)
            if n_more:
                state.waiting = True
                self._waiting.add(self._place(state))
        while self._waiting:  # nothing is surely needed: go ahead with what may be
            place = min(self._waiting)
            self._waiting.discard(place)
            state = self._states[place[2]]
            state.waiting = False
            if self.n_more(place[2]):
                return self._ask(state)
        return None

    def n_more(self, problem_id: str) -> int:
        """The fewest answers still needed for a decision (without a band: for all n); 0 when it is settled."""
        state = self._states[problem_id]
        n_answered = len(state.outcomes)
        if self.band is None:
            return self.n - n_answered
        return fewest_more(
            self.band, state.n_correct, n_answered - state.n_correct - state.n_undecided, state.n_undecided
        )

    def counts(self, problem_id: str) -> tuple[int, int]:
        """Decided and correct attempts so far."""
        state = self._states[problem_id]
        return len(state.outcomes) - state.n_undecided, state.n_correct

    def _ask(self, state: _State) -> tuple[Problem, int]:
        assert self._queue is not None
        index = state.next_index
        state.next_index += 1
        state.n_outstanding += 1
        if self._advance(state):
            heappush(self._queue, self._place(state))
        return state.problem, index

    def _advance(self, state: _State) -> bool:
        """Go to the next attempt that is not answered; whether there is one."""
        while state.next_index in state.outcomes:
            state.next_index += 1
        return state.next_index < self.n

    def _place(self, state: _State) -> Place:
        return (state.next_index // self.block, len(state.problem.problem), state.problem.id)
