"""Verdicts: outcomes, types, choices, the memo, and batches in order."""

import psutil
import pytest

from limo.core.errors import InputError
from limo.core.process.limits import CallLimits
from limo.core.records import Completion, Problem
from limo.verify import maths_verifier as module
from limo.verify.answers import read_answer, why_unverifiable
from limo.verify.checker import Checker, as_text, check


def pairs(rows):
    """Problems and completions of (answer, text, finish_reason) rows."""
    return ((Problem("", "", answer), Completion(text, *rest)) for answer, text, *rest in rows)


@pytest.fixture(scope="module")
def checker():
    with Checker(limits=CallLimits(time_s=10.0)) as made:
        yield made


@pytest.mark.parametrize(
    ("answer", "completion", "finish_reason", "outcome"),
    [
        ("4", "\\boxed{4}", "stop", "correct"),
        ("4", "\\boxed{5}", "stop", "wrong"),
        ("4", "so x = 4 and", "length", "truncated"),
        ("4", "\\boxed{4} and then", "length", "correct"),
        ("4", "", "stop", "no_answer"),
        ("4", "<think>hm, 4", "stop", "truncated"),
        ("See solution.", "\\boxed{4}", "stop", "undecided"),
        ("9^{9^{9}}", "\\boxed{8^{9^{9}}+1}", "stop", "undecided"),
    ],
)
def test_each_outcome_has_its_case(checker, answer, completion, finish_reason, outcome):
    assert checker.check(answer, completion, finish_reason).outcome == outcome


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("  $ $ ", "empty"),
        (r"\boxed{" * 5000, "too long"),
        ("See solution.", "see solution"),
        ("Answers may vary", "see solution"),
        ("证明见解析", "proof"),
        ("We show that the sum is even by induction on n.", "proof"),
        ("(1) increasing; (2) the tangent is steep", "several parts"),
        ('{"1": "\\\\frac14", "2": "\\\\frac13"}', "several parts"),
        ("see the figure", "see solution"),
        ("As n grows the " + "value of the sum tends to the limit of it " * 8, "prose"),
    ],
)
def test_answers_no_rule_can_check_are_told_by_type(answer, reason):
    assert why_unverifiable(answer) == reason


@pytest.mark.parametrize(
    "answer",
    [
        "4",
        "B",
        "\\frac12",
        "(1,2)",
        "必要不充分条件",
        "\\text{Evelyn}",
        "1,2 \\text{ and } 3",
        "f(x)=2x",
        "so \\boxed{5}.",
    ],
)
def test_answers_a_rule_can_check_are_let_through(answer):
    assert why_unverifiable(answer) == ""


def test_a_whole_solution_stored_as_the_answer_is_understood():
    assert read_answer("Adding up, $x = 2+3$, so the answer is $\\boxed{5}$.").text == "5"


def test_a_wrong_completion_is_never_held_against_an_unverifiable_answer(checker):
    verdict = checker.check("See solution.", "\\boxed{4}")
    assert (verdict.outcome, verdict.tier) == ("undecided", "type")


def test_the_text_of_an_option_stands_for_its_letter(checker):
    options = ["12", "15", "18", "21"]
    assert checker.check("C", "The result is \\boxed{18}", options=options).outcome == "correct"
    assert checker.check("C", "The result is \\boxed{21}", options=options).outcome == "wrong"
    assert checker.check("C", "The result is \\boxed{18}").outcome == "wrong"


@pytest.mark.parametrize(
    "completion", ["\\boxed{B. 15}", "\\boxed{\\text{(B) } 15}", "The answer is (B) 15.", "故选 B. 15"]
)
def test_a_letter_beside_the_text_of_another_option_is_no_right_answer(checker, completion):
    assert checker.check("B", completion, options=["12", "15", "18"]).outcome == "correct"
    assert checker.check("B", completion, options=["15", "12", "18"]).reason == "the letter B with the text of A"
    assert checker.check("B", completion, options=["14", "12", "18"]).outcome == "correct"  # a text of no option
    assert checker.check("B", completion).outcome == "correct"  # nobody said what the options are


def test_a_letter_stands_for_the_text_that_is_the_answer(checker):
    assert checker.check("18", "The answer is (C).", options=["12", "15", "18"]).outcome == "correct"
    assert checker.check("18", "The answer is (B).", options=["12", "15", "18"]).outcome == "wrong"
    assert checker.check("18", "The answer is (C).").outcome == "wrong"


def test_the_options_of_the_problem_are_seen(checker):
    problem = Problem.make("How far?", "C", options=["12 m", "15 m", "18 m"])
    assert checker.verify(problem, Completion("It is \\boxed{18 m}.")).outcome == "correct"
    assert checker.verify(problem, Completion("It is \\boxed{C. 15 m}.")).outcome == "wrong"


def test_an_answer_need_not_be_stored_as_text():
    assert as_text(27.0) == "27.0"
    assert as_text([1, 2]) == "1, 2"
    assert check(27, "\\boxed{27}").outcome == "correct"
    assert check([3, 5], "\\boxed{5, 3}").outcome == "correct"


def test_the_same_pair_is_decided_once(monkeypatch):
    asked = []
    real = module.equal
    monkeypatch.setattr(module, "equal", lambda *a, **k: asked.append(a) or real(*a, **k))
    with Checker() as made:
        for words in ("so", "thus", "hence"):
            assert made.check("\\frac12", f"{words} \\boxed{{0.5}}").outcome == "correct"
    assert len(asked) == 1


def test_an_overrun_is_undecided_and_is_not_remembered():
    with Checker(limits=CallLimits(time_s=0.01)) as made:
        verdict = made.check("\\int_0^1 e^{\\sin x} dx", "\\boxed{\\int_0^1 e^{\\sin y}+0 dy}")
        assert verdict.outcome in ("undecided", "correct")
        assert verdict.outcome == "correct" or not made.verifier.memo


@pytest.mark.parametrize("rule", ["equal", "extract_from", "read_answer"])
def test_a_failing_rule_costs_one_verdict_and_says_where_it_failed(monkeypatch, rule):
    def fail(*_, **__):
        raise ZeroDivisionError

    with Checker() as made:
        monkeypatch.setattr(module, rule, fail)
        verdict = made.check("1", "\\boxed{1}")
        assert (verdict.outcome, verdict.tier) == ("undecided", "failed")
        assert "ZeroDivisionError in test_check.py:" in verdict.reason
        monkeypatch.undo()
        assert made.check("2", "\\boxed{2}").outcome == "correct"


def test_batches_over_two_processes_keep_the_order_and_agree_with_one():
    rows = [(str(i % 7), f"\\boxed{{{i % 5}}}", "stop") for i in range(700)]
    with Checker(n_workers=2) as two, Checker() as one:
        both = [v.outcome for v in two.verify_many(pairs(rows))]
        assert both == [v.outcome for v in one.verify_many(pairs(rows))]
        assert both.count("correct") > 0 < both.count("wrong")


def test_leaving_a_batch_early_ends_its_processes():
    others = psutil.Process().children()
    with Checker(n_workers=2) as made:
        verdicts = made.verify_many(pairs((str(i), "\\boxed{1}", "stop") for i in range(100_000)))
        next(verdicts)
        processes = set(psutil.Process().children()).difference(others)
        verdicts.close()
        assert processes
        assert not psutil.wait_procs(processes, timeout=20)[1]
        assert next(made.verify_many(pairs([("1", "\\boxed{1}", "stop")] * 200))).outcome == "correct"


def test_a_checker_of_no_workers_is_refused():
    with pytest.raises(InputError, match="n_workers"):
        Checker(n_workers=0)


@pytest.mark.parametrize(
    "answer, said",
    [("all odd $n > 3$", "every odd number above 3"), ("f is even and $f(0)=1$ there", "it is even and f(0) is one")],
)
def test_an_answer_in_words_said_in_other_words_is_a_judges_question(answer, said):
    verdict = check(answer, f"\\boxed{{\\text{{{said}}}}}")
    assert (verdict.outcome, verdict.tier) == ("undecided", "words")
    assert check(answer, f"\\boxed{{{answer}}}").outcome == "correct"
    assert check(answer, "\\boxed{7}").outcome == "wrong"


@pytest.mark.parametrize(
    "answer, same, other, name",
    [
        (
            "the ball reaches the ground before the cube",
            "The ball reaches the ground before the cube.",
            "the cube comes down later than the ball does",
            "the cube comes later",
        ),
        ("小明比小红先到达学校门口", "小明比小红先到达学校门口。", "先到达学校门口的是小明同学", "小红先到达"),
    ],
)
def test_a_sentence_without_a_formula_said_in_other_words_is_a_judges_question_too(answer, same, other, name):
    assert check(answer, f"\\boxed{{\\text{{{same}}}}}").outcome == "correct"
    verdict = check(answer, f"\\boxed{{\\text{{{other}}}}}")
    assert (verdict.outcome, verdict.tier) == ("undecided", "type")
    assert check(answer, f"\\boxed{{\\text{{{name}}}}}").outcome == "undecided"
    assert check("isosceles triangle", f"\\boxed{{\\text{{{other}}}}}").outcome == "wrong"
    assert check(answer, "\\boxed{7}").outcome == "undecided"
