"""Numbers in words, formulas of chemistry, "there is none" and "I could not find it", in English and in Chinese."""

import pytest

from limo.core.records import Completion, Problem
from limo.verify.maths_verifier import MathsVerifier
from limo.verify.numeric import NumericVerifier

NUMBERS = [  # the answer, what says it
    ("-12", "\\boxed{\\text{negative }12}"), ("-12", "\\boxed{\\text{minus twelve}}"),
    ("-12", "So x is negative 12."),
    ("-12", "Therefore x equals minus twelve."), ("-12", "\\boxed{\\text{负}12}"), ("-12", "答案是负十二。"),
    ("-2/3", "The answer is minus two thirds."), ("-2/3", "答案是负三分之二。"),
    ("1/2", "So the probability is one half."), ("1/2", "The answer is half."), ("1/4", "So the share is a quarter."),
    ("2/3", "\\boxed{\\text{two-thirds}}"), ("3/8", "答案是八分之三。"), ("2.5", "The answer is two point five."),
    ("2.5", "二又二分之一"), ("2.5", "\\boxed{2\\frac{1}{2}}"), ("205", "The answer is two hundred and five."),
    ("12", "The answer is twelve."), ("24", "二十四"), ("24", "二十四小时"), ("3", "三．"),
    ("24 hours", "答案是二十四小时。"),
    ("24", "\\boxed{\\text{二十四小时}}"), ("24 hours", "The answer is twenty-four hours."),
    ("5\\%", "The answer is five percent."), ("5\\%", "答案是百分之五。"),
    ("3/8", "不对，是八分之三"), ("3/8", "答案是5/8。错了，应该是3/8。"),
    ("3/8", "答案是八分之五。不对，应该是八分之三。"),
]  # fmt: skip
OTHERS = [
    ("12", "\\boxed{\\text{negative }12}"), ("12", "So x is minus twelve."), ("12", "\\boxed{\\text{负}12}"),
    ("2", "The answer is two hundred and five."), ("2", "The answer is two thirds of the cake."),
    ("20", "\\boxed{-twenty}"), ("21", "\\boxed{-twenty one}"), ("10.5", "\\boxed{2\\frac{1}{2}}"),
    ("12", "The answer is twelve thirteenths."), ("12", "twelve dozen"), ("12", "So n is not twelve."),
    ("5/8", "\\boxed{5/8} 不对，是八分之三"), ("1", "\\boxed{a}"), ("1", "So this is a good one."),
]  # fmt: skip
WORDS = [
    ("no solution", "There is no solution."), ("no solution", "Therefore, the equation has no real solutions."),
    ("\\emptyset", "方程无解。"), ("does not exist", "The limit does not exist."), ("不存在", "所以这样的数不存在。"),
    ("not unique", "The answer is not unique."), ("not unique", "So the solution is not unique."),
    ("cannot be determined", "The answer cannot be determined."), ("无法确定", "答案：无法确定"),
    ("H2SO4", "The acid is H₂SO₄."), ("H_2SO_4", "这种酸是H₂SO₄。"),
    ("CO2", "Therefore, the gas is CO₂ (carbon dioxide)."),
    ("NaCl", "The salt is NaCl."), ("Fe^{3+}", "The ion is Fe³⁺."),
]  # fmt: skip
OTHER_WORDS = [
    ("unique", "The answer is not unique."), ("no solution", "If n is odd, there is no solution."),
    ("no solution", "We must show that n = 2 has no other solution."), ("5", "There is no such number."),
    ("H2SO4", "The acid is H₂SO₃."), ("H2SO4", "The acid is not H₂SO₄."), ("H2SO4", "The acid is H₂SO₄ or HCl."),
    ("4", "The acid is H₂SO₄."), ("2", "气体是CO₂。"), ("一个也不行", "1"),
]  # fmt: skip
GIVEN_UP = [
    "没想出来", "我想不出来。", "不知道", "这道题我不会做。", "无法确定答案。", "试了12种情况，没想出来。",
    "没能求出答案，抱歉。",
    "答案：不知道", "\\boxed{\\text{不知道}}", "I don't know.", "I could not find it.",
    "Sorry, I was unable to find the answer.",
    "I tried 12 cases.\nI give up.", "The answer is: I don't know.", "\\boxed{\\text{I don't know}}", "\\boxed{?}",
    "No answer was found.",
]  # fmt: skip
NOT_GIVEN_UP = [
    "\\boxed{5}\n\nI could not find a simpler way.", "一开始没想出来。后来算出答案是5。",
    "\\boxed{5}。别的方法想不出来。",
    "I don't know whether this is the fastest way, but the answer is 5.",
]  # fmt: skip


@pytest.fixture(scope="module")
def maths():
    verifier = MathsVerifier()
    yield verifier
    verifier.close()


@pytest.mark.parametrize(("answer", "text"), NUMBERS)
def test_a_number_in_words_is_its_number(maths, answer, text):
    for verifier in (maths, NumericVerifier()):
        assert verifier.verify(Problem("", "", answer), Completion(text)).outcome == "correct"


@pytest.mark.parametrize(("answer", "text"), OTHERS)
def test_other_words_are_another_number(maths, answer, text):
    for verifier in (maths, NumericVerifier()):
        assert verifier.verify(Problem("", "", answer), Completion(text)).outcome != "correct"


@pytest.mark.parametrize(("answer", "text"), WORDS)
def test_a_sentence_states_that_there_is_none_or_a_formula(maths, answer, text):
    assert maths.verify(Problem("", "", answer), Completion(text)).outcome == "correct"


@pytest.mark.parametrize(("answer", "text"), OTHER_WORDS)
def test_a_sentence_states_something_else(maths, answer, text):
    for verifier in (maths, NumericVerifier()):
        assert verifier.verify(Problem("", "", answer), Completion(text)).outcome != "correct"


@pytest.mark.parametrize("text", GIVEN_UP)
def test_who_gives_up_has_no_answer(maths, text):
    for verifier in (maths, NumericVerifier()):
        assert verifier.verify(Problem("", "", "5"), Completion(text)).outcome == "no_answer"


@pytest.mark.parametrize("text", NOT_GIVEN_UP)
def test_a_stated_answer_counts_beside_what_was_not_found(maths, text):
    assert maths.verify(Problem("", "", "5"), Completion(text)).outcome == "correct"
