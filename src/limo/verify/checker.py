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
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from limo.core.closing import Closing
from limo.core.errors import InputError, PartialError
from limo.core.process.child import Handler, reply_of
from limo.core.process.limits import CallLimits
from limo.core.process.pool import WorkerPool
from limo.core.process.worker import NO_WORKER, CallResult
from limo.core.records import Completion, Problem, Verdict

if TYPE_CHECKING:  # workers import this module, and do without pydantic
    from limo.core.recipe import Settings
    from limo.verify.verifier import Verifier

_PROBLEM = attrgetter(*Problem.__slots__)
_COMPLETION = attrgetter(*Completion.__slots__)
_VERDICT = attrgetter(*Verdict.__slots__)


class Checker(Closing):
    """Runs a verifier.  A context manager; safe in threads, under asyncio and in daemon processes.

    `verifier` is what a recipe's field `verifier` may hold (a name, a mapping, settings), or a verifier, which must
    then be picklable.  `n_workers` processes serve `verify_many`; `limits` are those of one verdict.  Nothing starts
    before it is needed.
    """

    def __init__(
        self,
        verifier: str | Mapping[str, Any] | Settings | Verifier = "maths",
        n_workers: int = 1,
        limits: CallLimits | None = None,
    ) -> None:
        if n_workers < 1:
            raise InputError("n_workers is too small", n_workers, "1 or more", "one worker for each core is enough")
        self.n_workers, self.limits = n_workers, limits or CallLimits()
        from limo.core.recipe import Settings
        from limo.verify.verifier import opener, verifier_settings

        if isinstance(verifier, str | Mapping | Settings):
            settings = verifier_settings(verifier)
            self._opener: Callable[[], Verifier] = opener(settings, limits)
            self.verifier, self._is_trusted = self._opener(), settings.kind != "python"
        else:
            self.verifier, self._opener, self._is_trusted = verifier, partial(_itself, verifier), False
        self._pools: dict[Callable[[Verifier], Handler], WorkerPool] = {}

    def close(self) -> None:
        """End the child processes; what is under way in other threads ends as undecided."""
        close = getattr(self.verifier, "close", None)
        if callable(close):
            close()
        for pool in self._pools.values():
            pool.close()

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
        (verdict,) = self.verify_many([(problem, completion)])
        return verdict

    @property
    def is_here(self) -> bool:
        """Whether verdicts are taken in this process and not in killable ones."""
        return self.n_workers == 1 and self._is_trusted

    def verify_many(self, pairs: Iterable[tuple[Problem, Completion]]) -> Iterator[Verdict]:
        """Verdicts in the order of the pairs, in flat memory."""
        if self.is_here:
            yield from (self.verifier.verify(problem, completion) for problem, completion in pairs)
            return
        payloads = ((_PROBLEM(problem), _COMPLETION(completion)) for problem, completion in pairs)
        with closing(self.map(_open_pair_handler, payloads, _size_of_pair)) as replies:
            for _, (fields, failure) in replies:
                yield Verdict(*fields) if fields else Verdict("undecided", "", failure, "guard")

    def map(
        self, open_handler: Callable[[Verifier], Handler], payloads: Iterable[Any], size_of: Callable[[Any], int]
    ) -> Generator[tuple[Any, CallResult]]:
        """Each payload with the reply of a handler that uses the verifier, in order and in flat memory.

        `open_handler` is a function of a module; it is called where the verdicts are taken, here or in each worker.
        """
        if self.is_here:
            handler = open_handler(self.verifier)
            return ((payload, CallResult(*reply_of(handler, payload))) for payload in payloads)
        return _checked(self._pool(open_handler).map(payloads, size_of))

    def check(
        self, answer: object, completion: str, finish_reason: str = "stop", options: Sequence[str] | None = None
    ) -> Verdict:
        """The verdict on a text, for an answer as its owner stores it (text, number, list)."""
        problem = Problem("", "", as_text(answer), list(options) if options else None)
        return self.verify(problem, Completion(completion, finish_reason))

    def same(self, one: str, other: str) -> bool:
        """Whether two answers are surely equal; False where nobody can tell."""
        return self.check(one, f"\\boxed{{{other}}}").outcome == "correct"

    def _pool(self, open_handler: Callable[[Verifier], Handler]) -> WorkerPool:
        if open_handler not in self._pools:
            try:
                pickle.dumps(self._opener)
            except Exception as error:
                do = "define its class in a module and keep open files out of it, or name it python:module:Class"
                raise InputError("the verifier cannot be pickled", str(error), "a picklable verifier", do) from None
            arguments = (open_handler, self._opener)
            self._pools[open_handler] = WorkerPool(self.n_workers, _open_in_worker, *arguments, limits=self.limits)
        return self._pools[open_handler]


def _checked(replies: Generator[tuple[Any, CallResult]]) -> Generator[tuple[Any, CallResult]]:
    """The replies.  Raises PartialError where no process could be started, which is no verdict on any row."""
    with closing(replies):
        for payload, result in replies:
            if result.failure.startswith(NO_WORKER):
                what, why = "no process that verifies could be started", result.failure.removeprefix(NO_WORKER)
                do = "see that memory and file handles (`ulimit -n`) are free, and that the verifier can be opened"
                raise PartialError(what, why, "", do)
            yield payload, result


def _open_in_worker(open_handler: Callable[[Verifier], Handler], opener: Callable[[], Verifier]) -> Handler:
    return open_handler(opener())


def _size_of_pair(pair: tuple[tuple[Any, ...], tuple[Any, ...]]) -> int:
    return sum(len(field) for fields in pair for field in fields if isinstance(field, str))


def _open_pair_handler(verifier: Verifier) -> Handler:
    return lambda pair: _VERDICT(verifier.verify(Problem(*pair[0]), Completion(*pair[1])))


def _itself(verifier: Verifier) -> Verifier:
    return verifier


def as_text(answer: object) -> str:
    """An answer as its owner stored it (a number, a list, an object), as text."""
    if isinstance(answer, str):
        return answer
    if answer is None or answer != answer:  # NaN is what tables write for nothing
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
