import random

import pytest

from limo.core.pass_rate_band import PassRateBand
from limo.core.records import Completion, PassRate, Problem, Rollout, Verdict
from limo.curate.difficulty import SuspectSettings, apply_band, find_suspects, probability_in_band
from limo.verify.checker import Checker

PROBLEM = Problem.make("What is 3 plus 4?", "7")


def fate(n_correct: int, n_decided: int, n: int, low: int, high: int) -> str:
    rates = {PROBLEM.id: PassRate("m", n, n_decided, n_correct)}
    kept, dropped = apply_band([PROBLEM], rates, PassRateBand(low, high, n), "strong")
    assert len(kept) + len(dropped) == 1
    return dropped[0].reason if dropped else "kept"


@pytest.mark.parametrize(
    ("n_correct", "n_decided", "n", "low", "high", "expected"),
    [
        (0, 4, 4, 0, 0, "kept"),
        (1, 4, 4, 0, 0, "too easy"),
        (1, 1, 4, 0, 0, "too easy"),  # stopped at the first right one
        (1, 32, 32, 1, 3, "kept"),
        (3, 32, 32, 1, 3, "kept"),
        (4, 10, 32, 1, 3, "too easy"),
        (0, 32, 32, 1, 3, "too hard"),
        (0, 31, 32, 1, 3, "undecided"),
        (3, 31, 32, 1, 3, "undecided"),
        (2, 31, 32, 1, 3, "kept"),
        (0, 0, 4, 0, 0, "undecided"),
    ],
)
def test_a_problem_stays_when_its_correct_rollouts_lie_in_the_band(n_correct, n_decided, n, low, high, expected):
    assert fate(n_correct, n_decided, n, low, high) == expected


def test_a_problem_without_a_rate_is_undecided_and_the_counts_are_evidence():
    assert apply_band([PROBLEM], {}, PassRateBand(0, 0, 4), "weak")[1][0].reason == "undecided"
    _, dropped = apply_band([PROBLEM], {PROBLEM.id: PassRate("m", 4, 4, 2)}, PassRateBand(0, 0, 4), "weak")
    assert dropped[0].stage == "weak"
    counts = {"model": "m", "n": 4, "n_decided": 4, "n_correct": 2, "decision": ""}
    assert dropped[0].detail == {"low": 0, "high": 0, **counts}


def rollouts(*answers: tuple[str, str, str]) -> dict[str, list[Rollout]]:
    made = [
        Rollout(PROBLEM.id, model, "p", "s", i, Completion("x"), Verdict(outcome, extracted))
        for i, (model, outcome, extracted) in enumerate(answers)
    ]
    return {PROBLEM.id: made}


EIGHT = [("a", "wrong", "8"), ("b", "wrong", " 8"), ("c", "wrong", "8")]


def test_models_that_agree_on_another_answer_make_the_key_suspect():
    found = find_suspects([PROBLEM], rollouts(*EIGHT, ("a", "wrong", "8"), ("d", "wrong", "9")))
    assert found[PROBLEM.id] == {
        "key": "7", "agreed": "8", "models": ["a", "b", "c"], "n_agreed": 4, "n_answered": 5, "n_correct": 0,
    }  # fmt: skip


def test_equal_answers_agree_however_they_are_spelt():
    spelt = rollouts(*[("a", "wrong", "0.5"), ("b", "wrong", "\\frac12"), ("c", "wrong", "1/2")], ("d", "wrong", "0.5"))
    assert find_suspects([PROBLEM], spelt) == {}
    with Checker() as checker:
        found = find_suspects([PROBLEM], spelt, same=checker.same)[PROBLEM.id]
    assert (found["agreed"], found["n_agreed"], found["models"]) == ("0.5", 4, ["a", "b", "c", "d"])


def test_answers_that_cannot_be_read_agree_with_nothing_else():
    odd = ["}{", "\\boxed{", "9^{9^{9^9}}", "east", "\x00", "8"]
    made = rollouts(*[(model, "wrong", answer) for model, answer in zip("abcdef", odd, strict=True)])
    with Checker() as checker:
        assert find_suspects([PROBLEM], made, same=checker.same) == {}


def test_no_comparison_is_made_that_cannot_change_the_outcome():
    asked: list[tuple[str, str]] = []
    same = lambda one, other: bool(asked.append((one, other)))  # noqa: E731
    assert find_suspects([PROBLEM], rollouts(*[("a", "wrong", str(n)) for n in range(100)]), same=same) == {}
    assert len(asked) <= 21 * 99  # a fifth of a hundred may be left out before four fifths cannot be found any more
    asked.clear()
    assert find_suspects([PROBLEM], rollouts(*EIGHT, ("a", "correct", "7")), same=same) == {}
    assert asked == []


def test_each_rollout_that_reached_the_key_speaks_for_it_against_several():
    agreed = [("a", "wrong", "8"), ("b", "wrong", "8")] * 2
    assert find_suspects([PROBLEM], rollouts(*agreed, ("d", "correct", "7"))) == {}
    assert find_suspects([PROBLEM], rollouts(*agreed, ("c", "wrong", "8"), ("d", "correct", "7")))
    assert find_suspects([PROBLEM], rollouts(*agreed, ("d", "correct", "7")), SuspectSettings(over_correct=4))


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [("a", "wrong", "8"), ("b", "wrong", "8")],  # too few
        [("a", "wrong", "8")] * 5,  # one model alone
        [*EIGHT, ("d", "wrong", "9"), ("d", "wrong", "10"), ("d", "wrong", "11")],  # no agreement
        [*EIGHT, ("d", "correct", "7"), ("e", "correct", "7"), ("f", "correct", "7")],  # the key has as many
        [("a", "truncated", ""), ("b", "truncated", ""), ("c", "no_answer", "")],
    ],
)
def test_without_such_agreement_a_hard_problem_stays_hard(answers):
    assert find_suspects([PROBLEM], rollouts(*answers)) == {}


def test_share_and_number_of_models_are_settings():
    alone = rollouts(*[("a", "wrong", "8")] * 5)
    assert find_suspects([PROBLEM], alone, SuspectSettings(n_models=1))
    split = rollouts(*EIGHT, ("d", "wrong", "9"), ("d", "wrong", "10"), ("d", "wrong", "11"))
    assert find_suspects([PROBLEM], split, SuspectSettings(share=0.5))


@pytest.mark.parametrize(
    ("n_correct", "n_decided", "least", "most"),
    [(2, 32, 0.7, 0.8), (1, 32, 0.7, 0.8), (3, 32, 0.5, 0.65), (4, 10, 0.0, 0.02), (0, 32, 0.2, 0.4), (0, 0, 0.1, 0.2)],
)
def test_the_chance_to_belong_to_the_band_follows_from_the_counts(n_correct, n_decided, least, most):
    assert least < probability_in_band(PassRate("m", 32, n_decided, n_correct), PassRateBand(1, 3, 32)) < most


def test_the_chance_to_belong_agrees_with_drawing_from_the_posterior():
    rng = random.Random(0)
    draws = [rng.betavariate(2.5, 30.5) for _ in range(20_000)]
    share = sum(0.5 / 32 <= rate <= 3.5 / 32 for rate in draws) / len(draws)
    assert probability_in_band(PassRate("m", 32, 32, 2), PassRateBand(1, 3, 32)) == pytest.approx(share, abs=0.01)


def test_a_band_over_everything_holds_every_problem_surely():
    assert probability_in_band(PassRate("m", 4, 4, 2), PassRateBand(0, 4, 4)) == pytest.approx(1)
