"""What to ask next: a pure rule over what is answered, so that a run killed and started again asks the same.

The first open request of an undecided problem comes next.  A problem whose outstanding requests could decide it waits;
with nobody else to ask, `next` goes ahead with it (`eager`) or says LATER.  Two orders: for batches, attempts in blocks
of as many as are surely needed at the start (four of "1 to 3 of 32", all n without a band), and within a block
problems by the length of their statement, which keeps a batch's prompts alike; for servers (`depth`), problems that
are begun before new ones, so that decisions fall early.  A larger `priority` in a problem's `meta` comes first.

    schedule = Schedule(problems, n=32, band=Band(1, 3, 32))
    problem, index = schedule.next()
    schedule.answered(problem.id, index, "correct")

What it does not do: ask, verify or store (run does).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

from limo.core.records import Outcome, Problem
from limo.rollouts.likely import Learning
from limo.rollouts.stopping import Band, Decision, Exact, Rule

Place = tuple[float, int, int, str]
Later = Literal["later"]
LATER: Later = "later"


@dataclass(slots=True)
class _State:
    """One problem.  Attempts are bits, so that millions of them fit; `counts` are correct, wrong, undecided."""

    problem: Problem
    answered: int = 0
    correct: int = 0
    undecided: int = 0
    n_outstanding: int = 0
    next_index: int = 0
    n_first: int = 0  # answered attempts without a gap, from the first: what an ordered rule looks at
    counts: tuple[int, int, int] = (0, 0, 0)
    settled: bool = False
    waiting: bool = False
    place: Place | None = None


class Schedule:
    """The open requests about `problems` (each id once), n attempts each, fewer where `band` is decided before.

    With `max_error` a band is decided as soon as that is likely enough (see `likely`).
    """

    def __init__(
        self, problems: Iterable[Problem], n: int, band: Band | None, max_error: float = 0.0, depth: bool = False
    ) -> None:
        self.n, self.band, self.depth = n, band, depth
        self._exact = Exact(band) if band else None
        self.block = (self._exact.n_more(0, 0, 0) or 1) if self._exact else n
        self._states = {problem.id: _State(problem) for problem in problems}
        self._learning = Learning(band, max_error, self._states) if band and max_error else None
        self._queue: list[Place] | None = None  # built at the first `next`, when what is known has been told
        self._waiting: set[Place] = set()
        self.n_outstanding = 0

    def answered(self, problem_id: str, index: int, outcome: Outcome) -> list[str]:
        """Tell what an attempt gave, asked here or known from before; the problems that it settled.

        An index from n on is no matter, nor is one that was told before.
        """
        state, bit = self._states.get(problem_id), 1 << index
        if state is None or index >= self.n or state.answered & bit:
            return []
        state.answered |= bit
        state.correct |= bit * (outcome == "correct")
        state.undecided |= bit * (outcome == "undecided")
        self._returned(state)
        return self._settle(state)

    def given_up(self, problem_id: str) -> None:
        """Tell that a request was given up and will not be answered."""
        self._returned(self._states[problem_id])

    def next(self, eager: bool = True) -> tuple[Problem, int] | Later | None:
        """The request that comes next, now outstanding; LATER when an answer must come first; None: never one more."""
        if self._queue is None:
            self._queue = [self._place(s) for s in self._states.values() if not s.settled and self._advance(s)]
            heapify(self._queue)
        while self._queue:
            state = self._states[heappop(self._queue)[-1]]
            if state.settled:
                continue
            if self._n_wanted(state) > 0:
                return self._ask(state)
            state.waiting = True
            self._waiting.add(self._place(state))
        while self._waiting and (eager or not self.n_outstanding):  # nothing is surely needed: what may be
            place = min(self._waiting)
            self._waiting.discard(place)
            state = self._states[place[-1]]
            state.waiting = False
            if not state.settled:
                return self._ask(state)
        return LATER if self._waiting else None

    @property
    def n_settled(self) -> int:
        """Problems of which nothing more will be asked."""
        return sum(state.settled for state in self._states.values())

    @property
    def n_open(self) -> int:
        """Attempts that are not answered, of problems that are not settled: the most that may still be asked."""
        return sum(self.n - s.answered.bit_count() for s in self._states.values() if not s.settled)

    def unsettled(self) -> list[str]:
        """The ids of the problems that still have something to ask."""
        return [name for name, state in self._states.items() if not state.settled]

    def counts(self, problem_id: str) -> tuple[int, int]:
        """Decided and correct attempts so far; under an ordered rule those that it looked at."""
        n_correct, n_wrong, _ = self._states[problem_id].counts
        return n_correct + n_wrong, n_correct

    def decision(self, problem_id: str) -> tuple[Decision | None, float]:
        """The band's decision so far, and the chance that all n attempts would have decided otherwise."""
        state, rule = self._states[problem_id], self._rule(problem_id)
        if rule is None:
            return None, 0.0
        assert self.band is not None
        certain = Exact(self.band).decide(*state.counts)
        if certain or self._learning is None or not state.settled:
            return certain, 0.0
        n_correct, n_wrong, _ = state.counts
        return rule.decide(*state.counts), getattr(rule, "risk", lambda *_: 0.0)(n_correct, n_wrong)

    # How it is done.

    def _rule(self, problem_id: str) -> Rule | None:
        return self._learning.of(problem_id) if self._learning else self._exact

    def _settle(self, state: _State) -> list[str]:
        """Look whether the problem is settled, and then at those that waited for what it teaches."""
        found: list[str] = []
        to_look = [state.problem.id]
        while to_look:
            one = self._states[to_look.pop()]
            if one.settled or not self._look(one):
                continue
            one.settled = True
            found.append(one.problem.id)
            if self._learning:
                ready = self._learning.settled(one.problem.id, *one.counts[:2])
                for other in (self._states[name] for name in ready):
                    other.n_first, other.counts = 0, (0, 0, 0)  # read again, from the first, by the new rule
                    to_look.append(other.problem.id)
                    self._wake(other)
        return found

    def _look(self, state: _State) -> bool:
        """Bring the counts up to date; whether nothing more needs to be asked."""
        if self._learning is None:
            n_correct, n_undecided = state.correct.bit_count(), state.undecided.bit_count()
            state.counts = (n_correct, state.answered.bit_count() - n_correct - n_undecided, n_undecided)
            return self._exact.n_more(*state.counts) == 0 if self._exact else sum(state.counts) == self.n
        rule, ready = self._learning.of(state.problem.id), self._learning.is_ready(state.problem.id)
        while not (ready and rule.n_more(*state.counts) == 0):
            bit = 1 << state.n_first
            if not state.answered & bit:
                return False
            correct, undecided = bool(state.correct & bit), bool(state.undecided & bit)
            a, b, c = state.counts
            state.counts = (a + correct, b + (not correct and not undecided), c + undecided)
            state.n_first += 1
        return True

    def _n_wanted(self, state: _State) -> int:
        """How many requests more are surely needed than are under way or answered ahead of their turn."""
        if self.band is None:
            return self.n - sum(state.counts) - state.n_outstanding
        rule = self._rule(state.problem.id)
        assert rule is not None
        ahead = (state.answered >> state.n_first).bit_count() if self._learning else 0
        needed = rule.n_more(*state.counts)
        is_gap = self._learning is not None and state.next_index == state.n_first  # nothing behind it counts before it
        return max(needed - ahead - state.n_outstanding, int(is_gap and needed > 0))

    def _returned(self, state: _State) -> None:
        if self._queue is not None and state.n_outstanding:
            state.n_outstanding -= 1
            self.n_outstanding -= 1
            self._wake(state)

    def _wake(self, state: _State) -> None:
        if state.waiting and self._queue is not None:
            self._waiting.discard(self._place(state))
            state.waiting = False
            heappush(self._queue, self._place(state))

    def _ask(self, state: _State) -> tuple[Problem, int]:
        assert self._queue is not None
        index = state.next_index
        state.next_index += 1
        state.n_outstanding += 1
        self.n_outstanding += 1
        if self._advance(state):
            heappush(self._queue, self._place(state))
        return state.problem, index

    def _advance(self, state: _State) -> bool:
        """Go to the next attempt that is not answered; whether there is one."""
        state.place = None
        while state.answered >> state.next_index & 1:
            state.next_index += 1
        return state.next_index < self.n

    def _place(self, state: _State) -> Place:
        if state.place is None:
            priority = state.problem.meta.get("priority", 0)
            first = -float(priority) if isinstance(priority, int | float) else 0.0
            block = (0 if state.next_index else 1) if self.depth else state.next_index // self.block
            state.place = (first, block, len(state.problem.problem), state.problem.id)
        return state.place
