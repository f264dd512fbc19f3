"""Chains: which rollouts may become training material, and why the others may not.

A chain is correct, whole, does not loop, keeps to the language of its problem, ends in a boxed answer, and holds no
token that belongs to a chat template or a tool.  Thought markers (`<think>`, begin-of-thought) are taken out by default
and the thought itself kept, because the paper's training text has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from limo.core.recipe import Settings
from limo.core.records import Chain, Completion, Dropped, Problem, Rollout, Verdict
from limo.core.text import THOUGHT_MARKER, close_thoughts, content_hash, language_of

STAGE = "chains"
OFFICIAL = "official solution"  # the teacher of such chains
_CUT_MARKER = re.compile(r"<\|(?:begin|end)_[a-z_]*\Z")  # the token limit may fall inside the last marker
_LEFTOVER = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?tool_(?:call|response)s?>")
_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")
_COMMAND = re.compile(r"\\(?:begin|end)\{[^{}]*\}|\\[A-Za-z]+")
_RUN_LENGTH = 12  # words or signs in a row; long enough that a formula written twice does not fill a text with them


class ChainSettings(Settings):
    """What a rollout must be to become a chain, besides correct and not truncated."""

    form: Literal["plain", "keep"] = Field("plain", description="thought markers taken out (paper) or kept, each once")
    boxed: bool | None = Field(
        None, description="a chain must hold a boxed answer (paper); None: where the verifier's prompt asks for one"
    )
    language: Literal["same", "any"] = Field("same", description="same language as the problem; not in the paper")
    max_repetition: float = Field(
        0.6, ge=0, le=1, description="largest share of repeated runs of 12 words or signs; not in the paper"
    )
    official: bool = Field(False, description="a problem's own solution competes too, checked like any chain")
    max_tokens: int | None = Field(None, ge=1, description="longest chain in its teacher's tokens; paper: under 16,384")


SETTING_OF = {  # the setting that a reason comes from
    "no boxed answer": "boxed",
    "other language than the problem": "language",
    "loops": "max_repetition",
    "too long": "max_tokens",
}


def lacks_box(text: str, settings: ChainSettings) -> bool:
    """Whether a boxed answer is wanted and missing; where no verifier has said (None), the paper's prompt holds."""
    return settings.boxed is not False and "\\boxed" not in text


def accept(
    problem: Problem, rollouts: Sequence[Rollout], settings: ChainSettings | None = None
) -> tuple[list[Chain], list[Dropped]]:
    """The chains among one problem's rollouts, in their order, and a reason for each other rollout."""
    settings = settings or ChainSettings()
    chains: list[Chain] = []
    dropped: list[Dropped] = []
    accepted: set[str] = set()
    for rollout in rollouts:
        text = rollout.completion.full_text
        text, is_open = close_thoughts(_CUT_MARKER.sub("", text).strip())
        text = without_thought_markers(text) if settings.form == "plain" else text
        reason = _reason_against(problem, rollout, text, settings)
        if not reason and is_open and settings.form == "keep":
            reason = "thought without an end"
        if not reason and text in accepted:
            reason = "same text as another"
        if reason or rollout.verdict is None:
            dropped.append(_drop(rollout, reason))
            continue
        accepted.add(text)
        n_tokens = rollout.completion.n_completion_tokens
        source = (rollout.model, rollout.prompt_hash, rollout.sampling_hash, rollout.index)
        chains.append(Chain(problem.id, text, *source, n_tokens, rollout.verdict))
    return chains, dropped


def official_rollout(problem: Problem, verdict: Verdict) -> Rollout:
    """A problem's own solution as one more rollout; its number of tokens is unknown (0)."""
    verdict = replace(verdict, answer=problem.answer)
    return Rollout(problem.id, OFFICIAL, "", "", 0, Completion(problem.solution), verdict)


def without_thought_markers(text: str) -> str:
    """The text without thought markers, the thought and the solution a blank line apart."""
    parts = (part.strip() for part in THOUGHT_MARKER.split(_CUT_MARKER.sub("", text)))
    return "\n\n".join(part for part in parts if part)


def repeated_share(text: str) -> float:
    """The share (0..1) of runs of 12 words or signs that occurred before in the text.

    Of 562 correct recorded long chains 95% lie below 0.27, the loops above 0.6; cut ones have a median of 0.79.
    """
    pieces = _WORD_OR_SIGN.findall(text)
    n_runs = len(pieces) - _RUN_LENGTH + 1
    if n_runs < 1:
        return 0.0
    return 1 - len(set(zip(*(pieces[start:] for start in range(_RUN_LENGTH)), strict=False))) / n_runs


def chain_hash(chain: Chain) -> str:
    """Names a chain by its problem and its text."""
    return content_hash(chain.problem_id, chain.text)


def chains_from_table(rows: Iterable[dict[str, Any]]) -> list[Chain]:
    """The chains of a stage's table, whose columns are the fields of Chain."""
    return [Chain(**{**row, "verdict": Verdict(**row["verdict"])}) for row in rows]


def _reason_against(problem: Problem, rollout: Rollout, text: str, settings: ChainSettings) -> str:
    """Why a rollout is no chain, or nothing; cheap reasons first."""
    if rollout.completion.finish_reason == "error":
        return "no completion"
    if rollout.outcome == "truncated" or rollout.completion.finish_reason == "length":
        return "truncated"
    if rollout.outcome != "correct":
        return {"wrong": "wrong answer", "no_answer": "no answer"}.get(rollout.outcome, "undecided")
    if settings.max_tokens is not None and rollout.completion.n_completion_tokens > settings.max_tokens:
        return "too long"
    if lacks_box(text, settings):
        return "no boxed answer"
    if _LEFTOVER.search(THOUGHT_MARKER.sub("", text)):
        return "template or tool token inside"
    if settings.language == "same" and _other_language(problem, text):
        return "other language than the problem"
    return "loops" if repeated_share(text) > settings.max_repetition else ""


def _other_language(problem: Problem, text: str) -> bool:
    """True where both languages are known and differ; LaTeX commands are no language."""
    languages = {language_of(_COMMAND.sub(" ", part)) for part in (problem.problem, text)}
    return "und" not in languages and len(languages) > 1


def _drop(rollout: Rollout, reason: str) -> Dropped:
    _, *source = rollout.key
    detail: dict[str, object] = dict(zip(("teacher", "prompt_hash", "sampling_hash", "index"), source, strict=True))
    if rollout.completion.error:
        detail |= {"error": rollout.completion.error[:200]}
    if rollout.verdict:
        detail |= {"outcome": rollout.verdict.outcome, "extracted": rollout.verdict.extracted[:200]}
    return Dropped(rollout.problem_id, STAGE, reason, detail)
