"""A judge's reply is read strictly, a rule is never overruled, and each verdict says whose it is."""

import json

import pytest

from limo.core.records import Verdict
from limo.verify.judge import (
    Agreement,
    JudgeOpinion,
    JudgeQuestion,
    apply_opinion,
    can_be_judged,
    combine_opinions,
    read_opinion,
)

OPEN = Verdict("undecided", "the ball", "words: for a judge", "structural")
ASKED = JudgeQuestion("What moves?", "the ball", "the ball", "so it is the ball")


@pytest.mark.parametrize(
    "reply, said",
    [
        ("CORRECT", "correct"),
        ("They name the same ball.\n\nCORRECT", "correct"),
        ("Another ball.\nINCORRECT\n", "incorrect"),
        ("UNSURE", "unsure"),
        ("**INCORRECT**", "incorrect"),
        ("Verdict: correct.", "correct"),
        ("> `CORRECT`", "correct"),
        ('{"verdict": "incorrect"}', "incorrect"),
        ('{"marks": {"verdict": "incorrect"}}', "incorrect"),
        ('The set {1, 2} is {2, 1}. {"why": {"a": 1}, "verdict": "correct"}', "correct"),
        ('```json\n{"why": "the same", "verdict": "CORRECT"}\n```', "correct"),
        ("<think>CORRECT?\nINCORRECT\nhm</think>\nThe same.\nCORRECT", "correct"),
    ],
)
def test_a_verdict_stated_once_is_read(reply, said):
    assert read_opinion(reply) == (said, "")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "It is correct.",
        "The answer is INCORRECT because it is another ball.",
        "CORRECT\nINCORRECT",
        "CORRECT\nCORRECT",
        "CORRECT or INCORRECT",
        "NOT CORRECT",
        "not\ncorrectly",
        "The candidate wrote:\nCORRECT\nbut it is another ball.\nINCORRECT",
        '{"verdict": "correct"} {"verdict": "incorrect"}',
        '{"verdict": "correct"}\nINCORRECT',
        '{"verdict": "correct", "verdict": "incorrect"}',
        '{"verdict": "correct", "verdict": "correct"}',
        '{"why": {"verdict": "incorrect"}, "verdict": "correct"}',
        '[{"verdict": "correct"}, {"verdict": "incorrect"}]',
        '{"a": ' * 5000 + '{"verdict": "correct", "verdict": "incorrect"}',
        '{"verdict": true}',
        '{"verdict": "correct, I think"}',
        '{"answer": "correct"}',
        "<think>the thought was cut\nCORRECT",
        "C O R R E C T",
        "INCORRECTLY",
    ],
)
def test_a_reply_that_states_none_or_several_is_no_opinion(reply):
    said, why = read_opinion(reply)
    assert said == "" and why


def test_a_reply_that_was_cut_is_no_opinion_whatever_it_says():
    assert read_opinion("CORRECT", "length") == ("", "the reply was cut")


def test_incorrect_is_never_read_as_correct():
    for before in ("", "So: ", "**", "verdict: ", '{"verdict": "'):
        for after in ("", ".", "**", '"}', " "):
            assert read_opinion(f"{before}INCORRECT{after}")[0] in ("incorrect", "")


def test_a_judge_decides_only_what_the_rules_left_open():
    yes, no, none = (JudgeOpinion("model", said) for said in ("correct", "incorrect", "unsure"))
    assert apply_opinion(OPEN, yes).outcome == "correct" and apply_opinion(OPEN, no).outcome == "wrong"
    assert apply_opinion(OPEN, yes).tier == "judge: model" and "words: for a judge" in apply_opinion(OPEN, yes).reason
    assert apply_opinion(OPEN, none) == OPEN == apply_opinion(OPEN, JudgeOpinion("model", "", "cut"))
    for outcome in ("correct", "wrong", "no_answer", "truncated"):
        rule = Verdict(outcome, "5", "same string", "exact")
        assert apply_opinion(rule, yes) == apply_opinion(rule, no) == rule


def test_it_is_asked_where_there_is_something_to_compare():
    assert can_be_judged(OPEN, ASKED)
    assert not can_be_judged(Verdict("wrong"), ASKED)
    assert not can_be_judged(OPEN, ASKED._replace(answer=" "))
    assert not can_be_judged(OPEN, ASKED._replace(completion=""))


def test_replies_count_together_only_where_they_say_the_same():
    said = [
        JudgeOpinion("one", "correct"),
        JudgeOpinion("two", "", "the reply was cut"),
        JudgeOpinion("one", "correct"),
    ]
    assert combine_opinions(said) == JudgeOpinion("one + two", "correct")
    assert combine_opinions([*said, JudgeOpinion("two", "incorrect")]) == JudgeOpinion(
        "one + two", "", "replies differ"
    )
    assert combine_opinions([JudgeOpinion("one", "", "no verdict stated")]).why == "no verdict stated"


def test_agreement_counts_both_sides_and_takes_no_answer_as_not_right():
    agreement = Agreement()
    rows = [("correct", "correct"), ("correct", "incorrect"), ("wrong", "incorrect"), ("no_answer", "incorrect")]
    rows += [("undecided", "correct"), ("wrong", "unsure"), ("wrong", "")]
    for rule, judge in rows:
        agreement.add(Verdict(rule), JudgeOpinion("model", judge))
    assert (agreement.n_both, agreement.rate) == (4, 0.75)
    assert agreement.table()[0] == ["rule \\ judge", "correct", "incorrect", "unsure", "no opinion"]
    assert ["wrong", 0, 1, 1, 1] in agreement.table()
    assert json.dumps(agreement.rate)
