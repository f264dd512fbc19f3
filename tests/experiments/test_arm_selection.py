"""Selections: every condition holds, every rule takes what it says, and two of one recipe differ in nothing else."""

from __future__ import annotations

import pytest

from limo.core.errors import InputError
from limo.core.prompts import prompt_hash
from limo.core.records import Chain, Grade, PassRate, Problem, Verdict
from limo.curate.grade import GradeSettings
from limo.curate.select import Candidate, SelectSettings
from limo.curate.strata import StrataSettings, stratify
from limo.experiments.arm_selection import CandidatePool, in_stratum, select_chains, select_problems
from limo.experiments.arms import Selection

STYLES = {"careful": "Check.", "terse": "Be brief."}
STRATA = {"deep": {"depth": [3, 5]}, "plain": {"modifiers": [0, 0]}, "olympiad": {"source": ["aime", "hmmt"]}}
LIMO = SelectSettings(k=4)


def candidate(number, style="careful", outcome="correct", length=10):
    modifiers = ["twice"] * (number % 2)
    meta = {"depth": 1 + number % 5, "modifiers": modifiers}
    problem = Problem.make(f"Problem {number}", "7", source="aime" if number % 3 else "school", meta=meta)
    verdict = Verdict(outcome)
    text = f"Step {number}. " * length + "\\boxed{7}"
    chain = Chain(problem.id, text, "teacher", prompt_hash(STYLES[style]), "s", 0, length, verdict)
    rate = PassRate("teacher", 8, 8, number % 9)
    level = f"L{1 + number % 5}"
    return Candidate(problem, chain, Grade({}, number / 100, level), (rate,))


CAREFUL = [candidate(number, length=5 + number) for number in range(40)]
TERSE = [candidate(number, "terse", length=1) for number in range(40)]
WRONG = [candidate(number, outcome="wrong") for number in range(20)]
POOL = CandidatePool([c.problem for c in CAREFUL], CAREFUL + TERSE, WRONG)


def chosen(**wanted):
    return select_chains(POOL, Selection(**wanted), LIMO, GradeSettings(), STYLES, STRATA)


def test_the_default_is_what_the_curate_stage_selects():
    assert [c.grade.score for c in chosen()] == [0.39, 0.38, 0.37, 0.36]
    assert len(chosen(k=9)) == 9


def test_the_rules_take_what_they_say():
    assert [c.grade.score for c in chosen(by="longest", k=2)] == [0.39, 0.38]
    assert {c.rates[0].n_correct for c in chosen(by="hardest", k=4)} == {0}
    assert {c.rates[0].n_correct for c in chosen(by="easiest", k=4)} == {8}


def test_a_random_draw_belongs_to_its_seed_and_takes_one_chain_a_problem():
    draws = [[c.problem.id for c in chosen(by="random", k=10, seed=seed)] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert all(len(set(draw)) == 10 for draw in draws)


def test_style_and_stratum_hold_for_every_chain():
    assert {c.chain.prompt_hash for c in chosen(style="terse", by="random", k=40)} == {prompt_hash("Be brief.")}
    assert {c.problem.meta["depth"] for c in chosen(stratum="deep", by="random", k=40)} == {3, 4, 5}
    assert {len(c.problem.meta["modifiers"]) for c in chosen(stratum="plain", by="random", k=40)} == {0}
    assert {c.problem.source for c in chosen(stratum="olympiad", by="random", k=40)} == {"aime"}


def test_strata_by_source_are_drawn_as_curate_strata_draws_them():
    strata = StrataSettings(simple=["school"], complex=["olympiads"], advanced=["aime"], n=5)
    drawn = select_chains(POOL, Selection(stratum="Advanced", k=40), LIMO, GradeSettings(), STYLES, strata)
    expected = stratify(POOL.problems, strata)["Advanced"]
    assert {c.problem.id for c in drawn} == {problem.id for problem in expected} and len(drawn) == 5
    with pytest.raises(InputError, match=r"no such stratum: 'deep' \(allowed: Simple, Complex, Advanced\)"):
        select_chains(POOL, Selection(stratum="deep"), LIMO, GradeSettings(), STYLES, strata)


def test_a_problem_without_the_column_of_a_stratum_is_not_in_it():
    assert not in_stratum(Problem.make("p", "1"), {"depth": [1, 9]})


def test_subsets_of_the_first_of_limo_s_order_are_of_these():
    best = {c.problem.id for c in chosen(k=8)}
    assert {c.problem.id for c in chosen(by="random", k=4, among=8, seed=2)} < best


def test_wrong_chains_are_wrong_and_no_other_rule_takes_one():
    assert {c.chain.verdict.outcome for c in chosen(is_wrong=True, k=9)} == {"wrong"}
    assert {c.chain.verdict.outcome for c in chosen(by="full")} == {"correct"}


def test_levels_are_those_of_the_grades():
    assert {c.grade.level for c in chosen(level="L2", k=5)} == {"L2"}


def test_levels_of_equal_length_are_drawn_within_chains_of_like_length():
    pool = []
    for number in range(100):
        n_checks, length = number % 10, 10 + number // 10
        problem = Problem.make(f"Equal {number}", "7")
        text = "check " * n_checks + "number " * (length - n_checks)
        chain = Chain(problem.id, text, "t", "", "s", 0, length, Verdict("correct"))
        pool.append(Candidate(problem, chain, Grade({}, 0.0, "L1")))
    found = {}
    for level in ("L1", "L5"):
        wanted = Selection(level=level, equal_length=True, k=10)
        found[level] = select_chains(CandidatePool([], pool, []), wanted, LIMO, GradeSettings(), STYLES, STRATA)
    limo = Selection(equal_length=True, k=10)  # LIMO's own rule, ranked among chains of like length
    ranked = select_chains(CandidatePool([], pool, []), limo, LIMO, GradeSettings(), STYLES, STRATA)
    assert {c.chain.text.count("check") for c in ranked} == {9} and len({c.chain.n_tokens for c in ranked}) == 10
    checks = {level: [c.chain.text.count("check") for c in of] for level, of in found.items()}
    lengths = {level: sum(c.chain.n_tokens for c in of) / len(of) for level, of in found.items()}
    assert max(checks["L1"]) < min(checks["L5"])
    assert abs(lengths["L1"] - lengths["L5"]) < 3


def test_diversity_trades_limos_rank_against_unlikeness():
    pool = []
    for number in range(20):
        kind = "twice around" if number < 18 else "mirrored beside"
        problem = Problem.make(f"{kind} {number}", "7")
        chain = Chain(problem.id, f"chain {number}", "t", "", "s", 0, 2, Verdict("correct"))
        pool.append(Candidate(problem, chain, Grade({}, 1 - number / 100, "L5")))
    for diversity, n_other in ((0.0, 0), (0.5, 1)):
        wanted = Selection(k=4, diversity=diversity)
        taken = select_chains(CandidatePool([], pool, []), wanted, LIMO, GradeSettings(), STYLES, STRATA)
        assert sum("mirrored" in c.problem.problem for c in taken) >= n_other
        assert n_other or not any("mirrored" in c.problem.problem for c in taken)


def test_the_problems_of_reinforcement_are_those_of_the_pool_whether_solved_or_not():
    problems = select_problems(POOL, Selection(stratum="deep", by="random"), 10, STRATA)
    assert len(problems) == 10 and {p.meta["depth"] for p in problems} <= {3, 4, 5}
    assert problems != select_problems(POOL, Selection(stratum="deep", by="random", seed=1), 10, STRATA)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"style": "long"}, "no such style"), ({"stratum": "high"}, "no such stratum")],
)
def test_what_the_recipe_lacks_is_refused(wanted, message):
    with pytest.raises(InputError, match=message):
        chosen(**wanted)


def test_an_empty_selection_is_refused():
    with pytest.raises(InputError, match="a selection is empty"):
        select_chains(CandidatePool([], [], []), Selection(), LIMO, GradeSettings(), STYLES, STRATA)
