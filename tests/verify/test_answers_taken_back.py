"""An announced answer that is denied or replaced afterwards, and sentences whose number answers nothing."""

import pytest

from limo.core.records import Completion, Problem
from limo.verify.choice import ChoiceVerifier
from limo.verify.extract import extract
from limo.verify.maths_verifier import MathsVerifier

REPLACED = [  # the completion, what counts in it
    ("So the answer is 12. Sorry, I meant 13.", "13"),
    ("The answer is 12. Oops, 13.", "13"),
    ("The answer is 12. On second thought, it is 13.", "13"),
    ("\\boxed{12}\n\nActually, 13.", "13"),
    ("\\boxed{12}. Edit: should be 13.", "13"),
    ("\\boxed{12}\n\nThus, the correct value is $13$.", "13"),
    ("\\boxed{12}\n\nBut hold on, we forgot the case n=0, which adds one. So the total is 13.", "13"),
    ("\\boxed{12}\n\nRechecking: I get 13.", "13"),
    ("\\boxed{12}\n\n等等，我算错了，应该是13。", "13"),
    ("所以答案是12。\n\n不对，应为13。", "13"),
    ("答案是12？不，是13。", "13"),
    ("\\boxed{12}\n\nActually no, I made an arithmetic slip: it should be 13.", "it should be 13."),
    ("\\boxed{12}\n\n等等，应该是13。", "13。"),
    ("答案是12。\n\n抱歉，应为13。", "13。"),
    ("\\boxed{12}\n\n重新计算得13。", "13。"),
    ("\\boxed{12}\n\nWait, it should be 13.", "13"),
    ("\\boxed{12}\n\nActually it is 13.", "13"),
    ("The answer is 12. My apologies, it's 13.", "13"),
    ("\\boxed{12}\n\nOn reflection, 13.", "13"),
    ("\\boxed{12}\n\nNever mind, 13.", "13"),
    ("The answer is 12.\n\nFinal: 13", "13"),
]
DENIED = [
    "\\boxed{12}\n\nUnfortunately this violates the constraint.",
    "\\boxed{12}\n\nBut that is impossible, since n is odd.",
    "I guess the answer is 12, but it fails the check.",
    "答案是12。不对。",
    "答案是12。等等，算错了。",
    "\\boxed{12}，但这不符合题意，舍去。",
    "\\boxed{12}\n\n但x=12应舍去。",
    "\\boxed{12}不是答案。",
    "\\boxed{12} (rejected)",
    "\\boxed{12} (extraneous)",
    "\\boxed{12}\n\nPlease ignore that.",
    "\\boxed{12}\n\nThat can't be right.",
    "\\boxed{12}\n\nThe box above is wrong.",
    "\\boxed{12}\n\nBut it must be rejected.",
    "The answer is \\boxed{12}. Hold on, that contradicts the first condition, so 12 is impossible.",
]
NO_STATEMENT = [
    "See problem 12.", "Step 12. We are stuck.", "As in equation (12).", "The proof uses Lemma 12.", "如图12所示。",
    "So n ≥ 12.", "So n > 12.", "The lower bound is 12.", "n must be different from 12.",
    "We rule out 12.", "答案至少是12。", "答案最多是12。", "Maybe 12?", "Perhaps 12.", "Is it 12?",
    "The answer might be 12.", "答案可能是12。", "答案是否为12？", "无法确定，也许是12。",
    "Do not write \\boxed{12}.",
    "A common mistake gives \\boxed{12}.", "It is impossible that the answer is 12.", "不要填写\\boxed{12}。",
]  # fmt: skip
KEPT = [
    ("\\boxed{12} Wait, it is 12 by both ways.", "12"),
    ("That cannot be right, so we try again. The answer is \\boxed{12}.", "12"),
    ("Ignore the first root. \\boxed{12}", "12"),
    ("There is actually no other solution. \\boxed{12}", "12"),
    ("重新计算得12，所以答案是\\boxed{12}", "12"),
    ("\\boxed{12} Wait, let me verify: 12+0=12. Yes.", "12"),
    ("The answer is 12. Let me check whether we forgot a case: no.", "12"),
    ("The answer is 12. But this holds for all n.", "12"),
    ("We had 13, but that is impossible. So the answer is 12.", "12"),
    ("Oops, I dropped a sign. Then n is 12, and the answer is 12.", "12"),
    ("In step 3 we got x. So the total is 12.", "12"),
    ("\\boxed{12}（x=-3不符合题意，舍去）", "12"),
    ("不对，应为13。再算一次，答案是12。", "12"),
    ("The solution is x ≥ 12.", "x ≥ 12"),
    ("The answer is 12. But this contradicts the condition, so there is no solution.", "no solution"),
]


@pytest.mark.parametrize(("text", "expected"), [*REPLACED, *KEPT])
def test_what_is_said_last_counts(text, expected):
    extraction = extract(text)
    assert expected in (extraction.text, extraction.fallback)


STRUCK = [
    "\\cancel{\\boxed{12}}", "$\\xcancel{\\boxed{12}}$", "\\sout{the answer is $\\boxed{12}$}", "~~\\boxed{12}~~",
    "~~The answer is 12.~~", "<!-- \\boxed{12} -->", "<!-- The answer is\n\\boxed{12}", "% \\boxed{12}",
    "% answer: 12",
    "So: <s>\\boxed{12}</s>", "<del>答案是12</del>", "<strike>\\boxed{12}</strike>",
   
    "\\phantom{\\boxed{12}}", "<think>~~\\boxed{12}~~</think>",
]  # fmt: skip
NOT_STRUCK = [
    "\\cancel{\\boxed{13}} \\boxed{12}", "\\boxed{12} ~~\\boxed{13}~~", "\\boxed{12}\n% \\boxed{13}",
    "答案：~~13~~ 12",
    "\\frac{\\cancel{3}\\cdot 12}{\\cancel{3}} = \\boxed{12}", "<s>\\boxed{12}</s>",
    "% yield = 4/5\n% yield = \\boxed{12}",
    "$x~~$ and $~~\\boxed{12}$", "\\boxed{12} <!-- \\boxed{13} -->",
]  # fmt: skip


@pytest.fixture(scope="module")
def maths():
    verifier = MathsVerifier()
    yield verifier
    verifier.close()


@pytest.mark.parametrize("text", [text for text, _ in REPLACED])
def test_a_replaced_answer_is_not_accepted(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome != "correct"
    assert maths.verify(Problem("", "", "13"), Completion(text)).outcome == "correct"


@pytest.mark.parametrize("text", [*DENIED, *NO_STATEMENT])
def test_no_answer_is_stated(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome == "no_answer"


@pytest.mark.parametrize("text", STRUCK)
def test_what_is_struck_out_or_commented_out_is_not_said(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome != "correct"


@pytest.mark.parametrize("text", NOT_STRUCK)
def test_what_stands_beside_it_counts(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome == "correct"


@pytest.mark.parametrize("text", ["The answer is up to 12.", "\\boxed{12}\n\nHmm, this is off by one: 13."])
def test_it_is_not_accepted(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome == "wrong"


def test_a_refused_letter_is_no_choice():
    problem = Problem.make("Who?", "B", options=["Ann", "Bo"])
    assert ChoiceVerifier().verify(problem, Completion("Not B.")).outcome != "correct"


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<del>",
        "~~a",
        "\n%",
        "\n%boxed",
        "\\cancel{",
        "not found，",
        "The answer is 12. But this fails. ",
        "but this ",
        "不对，",
        "Actually, 13. ",
        "\\boxed{1} but ",
    ],
)
def test_denials_without_end_take_linear_time(piece):
    extract(piece * 20_000)


@pytest.mark.parametrize("text", ["The answer is 12 (not 21).", "答案是12，因为13是奇数。"])
def test_a_reason_or_a_refused_value_behind_an_answer_is_none_of_it(maths, text):
    assert maths.verify(Problem("", "", "12"), Completion(text)).outcome == "correct"


def test_yes_under_a_condition_is_no_yes(maths):
    assert maths.verify(Problem("", "", "Yes"), Completion("Yes, if n is even; otherwise no.")).outcome != "correct"
