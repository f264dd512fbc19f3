"""Case studies and the grid of a report: rollouts on the same problems by arm, each completion cut into its steps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from limo.core.records import Problem, Provenance, Rollout, Verdict
from limo.core.run_folder import RunFolder
from limo.curate.scorers.steps import cue_words, cut_steps
from limo.ledger.store import Ledger
from limo.report.content import Case, CaseRollout, LocalizedText, StepKind
from limo.report.formulas import FORMULA
from limo.stages import evaluate
from limo.stages.reports.texts import text

_VERDICT = TypeAdapter(Verdict)

MAX_TEXTS = 1200  # rollouts of the grid; problems on which arms differ come first (our choice: pages under 5 MB)
MAX_ROLLOUTS = 4  # of an arm on a problem
MAX_STEPPED = 40_000  # characters of a completion that are cut into steps; the page holds no more
_BORDER = re.compile(r"(?<!\n\d)(?<!\n\d\d)(?<!^\d)[.?!]\s+|[。！？；]\s*|\n+")  # not after the number of a list item


def cut_completion(completion: str) -> list[tuple[int, StepKind]]:
    """Where each piece of a completion ends, and what the structure scorer reads in it; no formula is cut."""
    completion = completion[:MAX_STEPPED]
    formulas = [match.span() for match in FORMULA.finditer(completion)]
    ends, number = [], 0
    for match in _BORDER.finditer(completion):
        while number < len(formulas) and formulas[number][1] <= match.start():
            number += 1
        if number == len(formulas) or match.end() <= formulas[number][0]:
            ends.append(match.end())
    begins = [0, *ends]
    spans = zip(begins, [*ends, len(completion)], strict=True)
    return [(end, _kind(completion[begin:end])) for begin, end in spans if end > begin]


def _kind(piece: str) -> StepKind:
    steps = cut_steps(piece)
    if not steps.lines:
        return "step" if re.search(r"[\w$\\]", piece) else ""
    if steps.first_words[0] in cue_words("turn"):
        return "turn"
    return "check" if any(cues & cue_words("check") for cues in steps.cues) else "step"


def case_rollout(
    arm: str, rollout: Rollout, verdict: Verdict | None = None, source: Provenance | None = None
) -> CaseRollout:
    """A rollout as it stands in a case; `verdict` where another one counts than its own."""
    judged = verdict or rollout.verdict or Verdict("undecided", reason="not verified")
    completion = rollout.completion.full_text
    shown = (judged.outcome, judged.extracted, judged.reason or rollout.completion.error)
    n_tokens = rollout.completion.n_completion_tokens
    return CaseRollout(arm, completion, *shown, n_tokens, source, cut_completion(completion))


def make_cases(by_arm: dict[str, dict[str, list[CaseRollout]]], problems: dict[str, tuple[str, Problem]]) -> list[Case]:
    """The grid of arms (by name: problem id -> rollouts) on problems (by id: benchmark and problem).

    At most MAX_TEXTS rollouts: first the problems that some arm solves and another does not, then the rest, in order.
    """
    rows = []
    for name, (benchmark, problem) in problems.items():
        rollouts = [rollout for of in by_arm.values() for rollout in of.get(name, [])[:MAX_ROLLOUTS]]
        if rollouts:
            n_right = sum(rollout.outcome == "correct" for rollout in rollouts)
            differs = 0 < n_right < len(rollouts)
            rows.append((not differs, Case(problem.problem, problem.answer, rollouts, benchmark)))
    cases, n_left = [], MAX_TEXTS
    for _, case in sorted(rows, key=lambda row: row[0]):
        n_left -= len(case.rollouts)
        if n_left < 0:
            break
        cases.append(case)
    return cases


def left_out_notes(n_shown: int, n_problems: int) -> list[LocalizedText]:
    """What the page says where the grid does not hold all problems."""
    return [text("grid_left_out", n=f"{n_shown:,}", total=f"{n_problems:,}")] if n_shown < n_problems else []


def evaluation_cases(folders: Sequence[Path]) -> tuple[list[Case], list[LocalizedText]]:
    """The cases of runs of `limo evaluate`, an arm for each model, with the verdicts that count; and notes on them."""
    by_arm: dict[str, dict[str, list[CaseRollout]]] = {}
    problems: dict[str, tuple[str, Problem]] = {}
    for folder in folders:
        run_folder = RunFolder(folder)
        by_id = {problem.id: problem for problem in run_folder.read_problems()}
        verdicts = run_folder.read_stage(evaluate.VERDICTS)
        counted = {(row["problem_id"], row["index"]): row for row in verdicts}
        for row in verdicts:
            problems.setdefault(row["problem_id"], (row["benchmark"], by_id[row["problem_id"]]))
        evaluations = run_folder.read_json(evaluate.EVALUATIONS)["evaluations"]
        model, settings = evaluations[0]["model"], _settings(evaluations)
        of_arm = by_arm.setdefault(model, {})
        with Ledger(run_folder.ledger_path, read_only=True) as ledger:
            scored = (r for of in settings for r in ledger.rollouts(model, *of))
            for rollout in _counted(scored, counted):
                row = counted[rollout.problem_id, rollout.index]
                counts = {name: row[name] or "" for name in ("outcome", "extracted", "reason")}
                verdict = _VERDICT.validate_python(asdict(rollout.verdict or Verdict("undecided")) | counts)
                of_arm.setdefault(rollout.problem_id, []).append(case_rollout(model, rollout, verdict))
    cases = make_cases(by_arm, problems)
    return cases, left_out_notes(len(cases), len(problems))


def _settings(evaluations: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Prompt and sampling of the scored rollouts; the ledger may hold others of the same problems."""
    sources = [one["score"]["provenance"] for one in evaluations]
    return list(dict.fromkeys((of["prompt_hash"], of["sampling_hash"]) for of in sources))


def _counted(rollouts: Iterable[Rollout], counted: dict[tuple[str, int], dict[str, object]]) -> Iterable[Rollout]:
    """Those with a row among the counted verdicts and few enough of their problem."""
    n_of: dict[str, int] = {}
    for rollout in rollouts:
        if (rollout.problem_id, rollout.index) in counted and n_of.get(rollout.problem_id, 0) < MAX_ROLLOUTS:
            n_of[rollout.problem_id] = n_of.get(rollout.problem_id, 0) + 1
            yield rollout
