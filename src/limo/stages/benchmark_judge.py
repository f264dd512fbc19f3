"""A judge on benchmarks: its verdict stands beside that of the rules, and overrules it only where the recipe says so.

The judge reads every whole completion of a benchmark whose entry asks for one (paper: Kaoyan and GradeSchool), and of
all benchmarks what the rules leave undecided.  How its reply is read, and what it reads of a completion, is said in
`limo.verify.judge` and `limo.core.prompts`: a reply that states no verdict, or several, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from limo.core.records import Problem, Rollout, Verdict
from limo.ledger.store import Ledger
from limo.rollouts.judge_verifier import full_answer
from limo.rollouts.judging import AnswerJudgeSettings, judge_answers
from limo.rollouts.runner import RolloutRunner
from limo.verify.judge import DECIDED, TIER, Agreement, JudgeOpinion, JudgeQuestion, apply_opinion, can_be_judged


@dataclass(frozen=True, slots=True)
class JudgedRollouts:
    """A benchmark's `rollouts` with the verdicts that count; `rules` and `opinions` by the rollout's key."""

    rollouts: list[Rollout]
    rules: dict[object, Verdict] = field(default_factory=dict)
    opinions: dict[object, JudgeOpinion] = field(default_factory=dict)

    def agreement(self) -> Agreement:
        """Rules and judge on the rollouts that the judge read."""
        agreement = Agreement()
        for key, opinion in self.opinions.items():
            agreement.add(self.rules[key], opinion)
        return agreement

    def counts(self) -> dict[str, Any]:
        """What the judge read and decided, as JSON; empty where it read nothing."""
        if not self.opinions:
            return {}
        agreement = self.agreement()
        changed = [r for r in self.rollouts if r.verdict and r.verdict.outcome != self.rules[r.key].outcome]
        return {
            "n_judged": len(self.opinions),
            "n_settled": sum(self.rules[r.key].outcome == "undecided" for r in changed),
            "n_overruled": sum(self.rules[r.key].outcome != "undecided" for r in changed),
            "agreement": agreement.rate if agreement.n_both else None,
            "table": agreement.table(),
        }

    def rows(self, benchmark: str) -> list[dict[str, Any]]:
        """A table row for each rollout: the verdict that counts, the rule's and the judge's."""
        rows = []
        for rollout in self.rollouts:
            verdict = rollout.verdict or Verdict("undecided")
            rule, opinion = self.rules.get(rollout.key, verdict), self.opinions.get(rollout.key)
            names = {"benchmark": benchmark, "problem_id": rollout.problem_id, "index": rollout.index}
            facts = {"extracted": verdict.extracted, "answer": verdict.answer, "reason": verdict.reason}
            judge = {"judge": opinion.verdict if opinion else None, "judge_why": opinion.why if opinion else None}
            rows.append(names | {"outcome": verdict.outcome, "rule": rule.outcome} | judge | facts)
        return rows


def judge_rollouts(
    settings: AnswerJudgeSettings,
    problems: Mapping[str, Sequence[Problem]],
    rollouts: Mapping[str, Sequence[Rollout]],
    is_judged: Mapping[str, bool],
    overrule: Sequence[str],
    runner: RolloutRunner,
    ledger: Ledger,
) -> dict[str, JudgedRollouts]:
    """By benchmark, its rollouts with the judge's verdicts; replies that the ledger holds are not requested again.

    `is_judged`: benchmarks of which the judge reads every whole completion.  Raises CollectionStopped, ModelError.
    """
    asked: list[tuple[str, Rollout, JudgeQuestion]] = []
    for name, of_benchmark in rollouts.items():
        by_id = {problem.id: problem for problem in problems[name]}
        for rollout in of_benchmark:
            question = _question(by_id[rollout.problem_id], rollout)
            is_whole = rollout.completion.finish_reason == "stop" and question.answer.strip() and question.completion
            if can_be_judged(_rule(rollout), question) or (is_judged[name] and is_whole):
                asked.append((name, rollout, question))
    opinions = judge_answers([question for _, _, question in asked], settings, runner, ledger)
    by_benchmark: dict[str, dict[object, JudgeOpinion]] = {name: {} for name in rollouts}
    for (name, rollout, _), opinion in zip(asked, opinions, strict=True):
        by_benchmark[name][rollout.key] = opinion
    return {name: _judged(list(of), by_benchmark[name], name in overrule) for name, of in rollouts.items()}


def _judged(rollouts: list[Rollout], opinions: dict[object, JudgeOpinion], may_overrule: bool) -> JudgedRollouts:
    final = []
    for rollout in rollouts:
        opinion, rule = opinions.get(rollout.key), _rule(rollout)
        final.append(replace(rollout, verdict=final_verdict(rule, opinion, may_overrule)) if opinion else rollout)
    return JudgedRollouts(final, {rollout.key: _rule(rollout) for rollout in rollouts}, opinions)


def final_verdict(rule: Verdict, opinion: JudgeOpinion, may_overrule: bool) -> Verdict:
    """The verdict that counts: the rule's, unless it is undecided or the judge may overrule it and disagrees."""
    agrees = (rule.outcome == "correct") == (opinion.verdict == "correct")
    if rule.outcome == "undecided" or not may_overrule or opinion.verdict not in DECIDED or agrees:
        verdict = apply_opinion(rule, opinion)
    else:
        outcome, reason = ("correct" if opinion.verdict == "correct" else "wrong"), f"the rules: {rule.outcome}"
        verdict = replace(rule, outcome=outcome, tier=TIER + opinion.judge, reason=reason)  # type: ignore[arg-type]
    return replace(verdict, verifier=f"{rule.verifier}, {TIER}{opinion.judge}") if verdict is not rule else rule


def _rule(rollout: Rollout) -> Verdict:
    return rollout.verdict or Verdict("undecided")


def _question(problem: Problem, rollout: Rollout) -> JudgeQuestion:
    return JudgeQuestion(problem.problem, full_answer(problem), _rule(rollout).extracted, rollout.completion.text)
