"""The order of requests: a pure function of the results so far, so a run that is killed and restarted repeats it.

The next request is the first open rollout index of an unfinished problem.  A problem whose outstanding requests could
decide its band is deferred until their results are in.  Batches take indexes in blocks of as many as are certainly
needed at the start (four for "1 to 3 of 32"), and within a block problems by the length of their statement, which keeps
prompts alike; servers (`started_first`) take started problems before new ones, so that decisions fall early.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

from limo.core.pass_rate_band import Decision, PassRateBand
from limo.core.records import Outcome, Problem

SortKey = tuple[int, int, str]
AwaitResults = Literal["await results"]
AWAIT_RESULTS: AwaitResults = "await results"


@dataclass(slots=True)
class _ProblemState:
    """One problem.  `recorded` has a bit for each rollout index with a result; counts are frozen once `finished`."""

    problem: Problem
    recorded: int = 0
    n_correct: int = 0
    n_wrong: int = 0
    n_undecided: int = 0
    n_outstanding: int = 0
    next_index: int = 0
    finished: bool = False
    deferred: bool = False
    sort_key: SortKey | None = None


class Schedule:
    """The open requests of `problems` (distinct ids), `n` rollouts each, fewer where `band` is decided before."""

    def __init__(
        self, problems: Iterable[Problem], n: int, band: PassRateBand | None, started_first: bool = False
    ) -> None:
        self.n, self.band, self.started_first = n, band, started_first
        self.block = (band.n_more_needed(0, 0, 0) or 1) if band else n
        self.n_outstanding = 0
        self._states = {problem.id: _ProblemState(problem) for problem in problems}
        self._queue: list[SortKey] | None = None  # built at the first `next_request`, after stored results are recorded
        self._deferred: set[SortKey] = set()

    def record(self, problem_id: str, index: int, outcome: Outcome) -> bool:
        """Count a result, new or stored; whether it finished its problem.

        A result that was recorded before, of an index from n on or of an unknown problem, is ignored.
        """
        state = self._states.get(problem_id)
        if state is None or index >= self.n or state.recorded >> index & 1:
            return False
        state.recorded |= 1 << index
        self._end_request(state)
        if state.finished:
            return False
        state.n_correct += outcome == "correct"
        state.n_undecided += outcome == "undecided"
        state.n_wrong += outcome not in ("correct", "undecided")
        state.finished = self._n_needed(state) == 0
        return state.finished

    def record_cancelled(self, problem_id: str) -> None:
        """Count an outstanding request as ended without a result."""
        self._end_request(self._states[problem_id])

    def next_request(self, speculative: bool = True) -> tuple[Problem, int] | AwaitResults | None:
        """Problem and rollout index to request next; AWAIT_RESULTS when results must come first; None at the end."""
        if self._queue is None:
            self._queue = [self._sort_key(s) for s in self._states.values() if not s.finished and self._advance(s)]
            heapify(self._queue)
        while self._queue:
            state = self._states[heappop(self._queue)[-1]]
            if state.finished:
                continue
            if self._n_needed(state) > state.n_outstanding:
                return self._start_request(state)
            state.deferred = True
            self._deferred.add(self._sort_key(state))
        while self._deferred and (speculative or not self.n_outstanding):
            sort_key = min(self._deferred)
            self._deferred.discard(sort_key)
            state = self._states[sort_key[-1]]
            state.deferred = False
            if not state.finished:
                return self._start_request(state)
        return AWAIT_RESULTS if self._deferred else None

    @property
    def n_finished(self) -> int:
        """Problems for which nothing more will be requested."""
        return sum(state.finished for state in self._states.values())

    @property
    def n_remaining(self) -> int:
        """Rollouts without a result of unfinished problems: the most that may still be requested."""
        return sum(self.n - s.recorded.bit_count() for s in self._states.values() if not s.finished)

    def unfinished(self) -> list[str]:
        """The ids of the problems that still need requests."""
        return [problem_id for problem_id, state in self._states.items() if not state.finished]

    def counts(self, problem_id: str) -> tuple[int, int]:
        """Decided and correct rollouts, counted until the problem was finished."""
        state = self._states[problem_id]
        return state.n_correct + state.n_wrong, state.n_correct

    def decision(self, problem_id: str) -> Decision | None:
        """The band's decision so far; None while it is open or where there is no band."""
        state = self._states[problem_id]
        return self.band.decide(state.n_correct, state.n_wrong) if self.band else None

    def _n_needed(self, state: _ProblemState) -> int:
        """The fewest results, outstanding ones included, that are still needed."""
        counts = (state.n_correct, state.n_wrong, state.n_undecided)
        return self.band.n_more_needed(*counts) if self.band else self.n - sum(counts)

    def _start_request(self, state: _ProblemState) -> tuple[Problem, int]:
        assert self._queue is not None
        index = state.next_index
        state.next_index += 1
        state.n_outstanding += 1
        self.n_outstanding += 1
        if self._advance(state):
            heappush(self._queue, self._sort_key(state))
        return state.problem, index

    def _end_request(self, state: _ProblemState) -> None:
        """One outstanding request less; a deferred problem goes back into the queue."""
        if self._queue is None or not state.n_outstanding:
            return
        state.n_outstanding -= 1
        self.n_outstanding -= 1
        if state.deferred:
            self._deferred.discard(self._sort_key(state))
            state.deferred = False
            heappush(self._queue, self._sort_key(state))

    def _advance(self, state: _ProblemState) -> bool:
        """Go to the next index without a result; whether there is one."""
        state.sort_key = None
        while state.recorded >> state.next_index & 1:
            state.next_index += 1
        return state.next_index < self.n

    def _sort_key(self, state: _ProblemState) -> SortKey:
        if state.sort_key is None:
            block = (0 if state.next_index else 1) if self.started_first else state.next_index // self.block
            state.sort_key = (block, len(state.problem.problem), state.problem.id)
        return state.sort_key
