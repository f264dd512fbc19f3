"""A verifier over single completions and batches: `Checker` gives the verdicts, in order, whatever goes wrong.

    check("\\\\frac{1}{2}", "so it is \\\\boxed{0.5}").outcome          # "correct"
    with Checker("numeric", n_workers=2) as checker:
        verdicts = list(checker.verify_many([(problem, completion), ...]))

The rules that come with limo are safe in this process and run here when there is one worker; a class of your own, and
batches over several workers, run in processes that are killed when they overrun or die, which costs one `undecided`.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from operator import attrgetter
from typing import Any

from limo.core.errors import InputError
from limo.core.recipe import Settings
from limo.core.records import Completion, Problem, Verdict
from limo.verify.process.limits import Limits
from limo.verify.process.spread import Crew
from limo.verify.verifier import Verifier, opener, verifier_settings

_PROBLEM = attrgetter(*Problem.__slots__)
_COMPLETION = attrgetter(*Completion.__slots__)


class Checker:
    """Runs a verifier.  A context manager; safe in threads, under asyncio and in daemon processes.

    `verifier` is what a recipe's field `verifier` may hold (a name, a mapping, settings), or a verifier, which must
    then be picklable.  `n_workers` processes serve `verify_many`; `limits` are those of one verdict.  Nothing starts
    before it is needed.
    """

    def __init__(
        self,
        verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
        n_workers: int = 1,
        limits: Limits | None = None,
    ) -> None:
        if n_workers < 1:
            raise InputError("n_workers is too small", n_workers, "1 or more", "one worker for each core is enough")
        self.n_workers, self.limits = n_workers, limits or Limits()
        if isinstance(verifier, str | Mapping | Settings):
            settings = verifier_settings(verifier)
            self._opener: Callable[[], Verifier] = opener(settings, self.limits)
            self.verifier, self._is_trusted = self._opener(), settings.kind != "python"
        else:
            self.verifier, self._opener, self._is_trusted = verifier, partial(_itself, verifier), False
        self._crew: Crew | None = None

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes; what is under way in other threads ends as undecided."""
        close = getattr(self.verifier, "close", None)
        if callable(close):
            close()
        if self._crew is not None:
            self._crew.close()

    @property
    def identity(self) -> str:
        """Names the rules with their settings; kept beside each verdict in the ledger."""
        return self.verifier.identity

    @property
    def system(self) -> str:
        """The system text of the prompts that this verifier's completions come from."""
        return self.verifier.system

    def why_not(self, problem: Problem) -> str:
        """Why this problem's answer cannot be checked; "" where it can."""
        return self.verifier.why_not(problem)

    def verify(self, problem: Problem, completion: Completion) -> Verdict:
        """The verdict on one completion of a problem."""
        if self._is_trusted:
            return self.verifier.verify(problem, completion)
        return next(self.verify_many([(problem, completion)]))

    @property
    def is_here(self) -> bool:
        """Whether verdicts are taken in this process and not in killable ones."""
        return self.n_workers == 1 and self._is_trusted

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """Verdicts in the order of the pairs, in flat memory."""
        if self.is_here:
            yield from (self.verifier.verify(problem, completion) for problem, completion in pairs)
            return
        items = ((("row", _PROBLEM(p), _COMPLETION(c)), c.text) for p, c in pairs)
        with closing(self.crew().chunks(items)) as chunks:
            for _, replies in chunks:
                for values, why in replies:
                    yield Verdict("undecided", "", why, "guard") if values is None else Verdict(*values)

    def check(
        self, answer: object, completion: str, finish_reason: str = "stop", options: Sequence[str] | None = None
    ) -> Verdict:
        """The verdict on a text, for an answer as its owner stores it (text, number, list)."""
        problem = Problem("", "", as_text(answer), list(options) if options else None)
        return self.verify(problem, Completion(completion, finish_reason))

    def same(self, one: str, other: str) -> bool:
        """Whether two answers are surely equal; False where nobody can tell."""
        return self.check(one, f"\\boxed{{{other}}}").outcome == "correct"

    def crew(self) -> Crew:
        """The processes that serve batches; after a batch that was left early, new ones."""
        if self._crew is None or self._crew.closed:
            try:
                pickled = pickle.dumps(self._opener)
            except Exception as error:
                do = "define its class in a module and keep open files out of it, or name it python:module:Class"
                raise InputError("the verifier cannot be pickled", str(error), "a picklable verifier", do) from None
            self._crew = Crew(self.n_workers, self.limits, pickled)
        return self._crew


def _itself(verifier: Verifier) -> Verifier:
    return verifier


def as_text(answer: object) -> str:
    """An answer as its owner stored it (a number, a list, an object), as text."""
    if isinstance(answer, str):
        return answer
    if answer is None:
        return ""
    if isinstance(answer, list | tuple):
        return ", ".join(as_text(part) for part in answer)
    return json.dumps(answer, ensure_ascii=False) if isinstance(answer, dict) else str(answer)


_DEFAULT: dict[int, Checker] = {}


def check(
    answer: object, completion: str, finish_reason: str = "stop", options: Sequence[str] | None = None
) -> Verdict:
    """The verdict on one completion by the rules of `maths`, by a checker that this process keeps."""
    checker = _DEFAULT.get(os.getpid())
    if checker is None:
        checker = _DEFAULT[os.getpid()] = Checker()
        atexit.register(checker.close)
    return checker.check(answer, completion, finish_reason, options)
