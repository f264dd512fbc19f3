"""The few small records that travel through every stage.

They are frozen, hold plain values only, and turn into dictionaries with `dataclasses.asdict`, so any stage can be
stored as Parquet or JSON without a converter of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_uppercase
from typing import Any, Literal

from limo.core.text import content_hash, join_thought, normalise_statement

Row = dict[str, Any]
"""A row of a table: values by the names of columns."""
Outcome = Literal["correct", "wrong", "no_answer", "truncated", "undecided"]
Level = Literal["L1", "L2", "L3", "L4", "L5"]
LEVELS: tuple[Level, ...] = ("L1", "L2", "L3", "L4", "L5")
OTHER = "other"
FAILED = ("error", OTHER)
"""Finish reasons of completions that are not verified."""
UNVERIFIED = "not verified"
"""Reason of the verdict of a chain whose row says nothing of one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A statement with its answer.

    `id` is the hash of the normalised statement, and of the options where it does not list them; `options` are the
    texts of a multiple choice problem in order (the answer is then a letter: A is the first), or None; `meta` is a JSON
    object.
    """

    id: str
    problem: str
    answer: str
    options: list[str] | None = None
    solution: str = ""
    source: str = ""
    topic: str = ""
    language: str = ""
    meta: dict[str, object] = field(default_factory=dict)

    @classmethod
    def make(cls, problem: str, answer: str, **rest: object) -> Problem:
        """A problem whose id is computed from its statement and options."""
        return cls(problem_id(problem, rest.get("options")), problem, answer, **rest)  # type: ignore[arg-type]


def problem_id(statement: str, options: Sequence[str] | None = None) -> str:
    """16 hex digits naming a statement up to white space and Unicode form; signs and digits count.

    The same statement with other options asks another question, so options that it does not list are added.
    """
    if options and not lists_options(statement, options):
        statement = append_options(statement, options)
    return content_hash(normalise_statement(statement))


def append_options(statement: str, options: Sequence[str]) -> str:
    """The statement with its options below it, one a line, after their letters; empty ones are left out."""
    listed = zip(ascii_uppercase, options, strict=False)
    return statement.rstrip() + "".join(f"\n{letter}. {text}" for letter, text in listed if text)


def lists_options(statement: str, options: Sequence[str]) -> bool:
    """Whether the texts of all options stand in a statement, in order."""
    normal, end = normalise_statement(statement), None
    for option in reversed(options):
        end = normal.rfind(normalise_statement(option), 0, end)
        if end < 0:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn; a text of `stop` ends it and is not part of it."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Names these settings in the ledger; those without `stop` keep the names they had before there was one."""
        return _sampling_hash(self.temperature, self.top_p, self.max_tokens, self.seed, tuple(self.stop))


@lru_cache(maxsize=256, typed=True)  # called once a rollout; typed, since 1 is written unlike 1.0
def _sampling_hash(temperature: float, top_p: float, max_tokens: int, seed: int, stop: tuple[str, ...]) -> str:
    values = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed}
    return content_hash(json.dumps(values | ({"stop": stop} if stop else {}), sort_keys=True))


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model returned for one rollout.

    `finish_reason` is `stop`, `length` (cut at `max_tokens`), `error` or `other`; of the last two `error` says why.  An
    `error` is a failed request, with what came of the text; `other` is an end that the server gave a reason of its own.
    `elapsed_s` are seconds, a batch's time shared evenly.  `reasoning` is the thought where a server keeps it apart
    from the text; the answer is looked for in the text alone.  `is_estimated`: its server counts no tokens.
    """

    text: str
    finish_reason: str = "stop"
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0
    elapsed_s: float = 0.0
    error: str = ""
    reasoning: str = ""
    is_estimated: bool = False

    @property
    def full_text(self) -> str:
        """Thought and text together, as the model wrote them."""
        return join_thought(self.reasoning, self.text)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a completion answers its problem, and on what evidence.

    `extracted` is the answer found in the text, `tier` the rule that decided, `reason` one short phrase, `answer` the
    problem's answer it was compared with, `verifier` the verifier's identity; '' where unknown.
    """

    outcome: Outcome
    extracted: str = ""
    reason: str = ""
    tier: str = ""
    elapsed_s: float = 0.0
    answer: str = ""
    verifier: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion of a problem by a model, with its verdict."""

    problem_id: str
    model: str
    prompt_hash: str
    sampling_hash: str
    index: int
    completion: Completion
    verdict: Verdict | None = None

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What makes this rollout the same as another: its content, never when or where it ran."""
        return (self.problem_id, self.model, self.prompt_hash, self.sampling_hash, self.index)

    @property
    def outcome(self) -> Outcome:
        """That of its verdict, `undecided` without one."""
        return self.verdict.outcome if self.verdict else "undecided"


@dataclass(frozen=True, slots=True)
class PassRate:
    """Correct out of decided rollouts of one model on one problem; `n` rollouts were planned.

    `decision` is what a band over all n makes of it: `keep`, `drop`, or '' where it is open or there is no band;
    `stage` the step that took it, '' where there is none.
    """

    model: str
    n: int
    n_decided: int
    n_correct: int
    decision: str = ""
    stage: str = ""

    @property
    def rate(self) -> float:
        """Correct over decided; 0 where nothing was decided."""
        return self.n_correct / self.n_decided if self.n_decided else 0.0

    @property
    def n_wrong(self) -> int:
        """Decided rollouts that are not correct."""
        return self.n_decided - self.n_correct


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a stage dropped: the problem, the stage, a short fixed reason, the evidence."""

    problem_id: str
    stage: str
    reason: str
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The reason, with what the detail says of it."""
        more = self.detail.get("why")
        return f"{self.reason} ({more})" if more else self.reason


@dataclass(frozen=True, slots=True)
class Chain:
    """A completion accepted as training material, with where it came from."""

    problem_id: str
    text: str
    teacher: str
    prompt_hash: str
    sampling_hash: str
    index: int
    n_tokens: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Grade:
    """How good the reasoning of a chain is: traits (0..1 each), their weighted sum, and the level's band."""

    traits: dict[str, float]
    score: float
    level: Level


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a number comes from: paths as given to the command, and the names that the ledger uses."""

    run: str
    ledger: str
    model: str
    prompt_hash: str
    sampling_hash: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Score:
    """A number on a benchmark with what it rests on; `low` and `high` are a 95% interval, all in 0..1."""

    benchmark: str
    value: float
    low: float
    high: float
    n_problems: int
    n_rollouts: int
    provenance: Provenance | None = None
