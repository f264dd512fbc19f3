"""Answers in prose, in sixteen languages, and the near misses that are none."""

import time

import pytest

from limo.verify.checker import Checker
from limo.verify.extract import extract


@pytest.fixture(scope="module")
def checker():
    with Checker() as made:
        yield made


LANGUAGES = [
    "The correct answer is {}.",
    "Ans: {}",
    "所以最终答案是{}。",
    "Das Ergebnis ist {}.",
    "Antwort: {}",
    "La réponse est {}.",
    "Respuesta final: {}",
    "El resultado es {}.",
    "A resposta final é {}.",
    "La risposta corretta è {}.",
    "Правильный ответ: {}.",
    "したがって、答えは{}です。",
    "따라서 정답은 {}입니다.",
    "إذن الإجابة هي {}",
    "अतः सही उत्तर {} है।",
    "সুতরাং উত্তর: {}",
    "প্রথমে যোগ করি। উত্তর হল {}।",
    "కాబట్టి సమాధానం: {}",
    "ดังนั้นคำตอบคือ {}",
    "Kwa hiyo jibu ni {}.",
    "Vậy đáp án là {}.",
]


@pytest.mark.parametrize("phrase", LANGUAGES)
def test_an_announcement_is_known_in_each_language(checker, phrase):
    for shown in ("79", "$79$", "**79**"):
        assert checker.check("79", phrase.format(shown)).outcome == "correct", shown
    assert checker.check("79", phrase.format("97")).outcome == "wrong"
    assert checker.check("79", "\\boxed{79}\n\n" + phrase.format("97")).outcome == "wrong"
    assert checker.check("79", "\\boxed{97}\n\n" + phrase.format("79")).outcome == "correct"


NEAR_MISSES = [
    ("5", "The answer is not 5."),
    ("5", "The answer is at least 5."),
    ("5", "She is left with half of 5."),
    ("5", "So she has 5 times as many."),
    ("5", "So the answer is 5 minus 2 over the root of 7."),
    ("5", "That makes 5 dozen eggs."),
    ("5", "5 factorial"),
    ("5", "5 is incorrect"),
    ("5", "So 5 was clearly wrong."),
    ("12", "He is left with 12 out of the 20."),
    ("60 km", "So the train travels at 60 km/h."),
    ("5 cm", "So the side is 5 m."),
    ("B", "The answer is not B."),
    ("B", "B is wrong, so it must be D."),
    ("B", "It could be A or B, I cannot tell."),
    ("4", "\\boxed{4}\n\nWait, that is wrong. I need more time."),
    ("4", "<answer></answer> I do not know."),
    ("4", "<answer>5</answer> (I first thought of 4.)"),
    ("5", "73 ❌ 5 ❌"),
]


@pytest.mark.parametrize(("key", "text"), NEAR_MISSES)
def test_a_near_miss_is_not_accepted(checker, key, text):
    assert checker.check(key, text).outcome != "correct"


def test_the_verdict_of_a_tag_a_box_and_a_phrase_is_the_same(checker):
    for key in ("\\frac{1}{2}", "x^2+1", "B", "(0,1)", "5\\text{ cm}"):
        for form in ("<answer>{}</answer>", "\\boxed{{{}}}", "The answer is ${}$.", "<|begin_of_box|>{}<|end_of_box|>"):
            assert checker.check(key, form.format(key)).outcome == "correct", (key, form)


@pytest.mark.parametrize(
    "piece", ["<answer>", "<answer>x</answer>", "that is wrong. ", "not A or B, ", "✅ ", "\\checkmark "]
)
def test_a_hundred_thousand_repetitions_cost_a_moment(piece):
    start = time.process_time()
    extract(piece * 100_000)
    extract(piece * 100_000, letters=True)
    assert time.process_time() - start < 3


CONCLUDED = [
    ("1500", "每月付500元,三个月。\n答：一共1500元。"),
    ("1500", "她付了三个月，\n一共是一千五百"),
    ("25%", "先算增长量。因此增长 25%。"),
    ("0.25", "因此增长 25%。"),
    ("3", "所以他有3个苹果"),
    ("12", "答:共有 12 种不同的排法."),
    ("7", "两边除以2。因此,x 的值为 7。"),
    ("15", "所以3个盒子共有15个。"),
    ("500000", "答：一共50万元"),
    ("1/2", "答：占二分之一。"),
    ("2x", "所以原式为2x"),
    ("3:2", "答：他们的比是3:2。"),
    ("x=3或x=5", "所以x=3或x=5。"),
    ("60 km/h", "答：速度是60千米/时。"),
    ("小明", "他有7个，她有5个。答：小明。"),
    ("1500", "She pays 500 a month. So she pays $1500 in total."),
    ("12", "Thus there are 12 ways."),
]


@pytest.mark.parametrize(("answer", "completion"), CONCLUDED)
def test_a_conclusion_with_one_quantity_is_the_answer(checker, answer, completion):
    assert checker.check(answer, completion).outcome == "correct"


UNSAID = [
    ("12", "I checked 12 cases."),
    ("5", "We try all. I checked 12 cases."),
    ("12", "Therefore we considered all 12 cases."),
    ("12", "所以我检查了12种情况。"),
    ("3", "答：小明有3个苹果，小红有5个。"),
    ("5", "5减2得3。答：小明有3个苹果，小红有5个。"),
    ("5", "所以 x 的值为 3 或 5。"),
    ("3", "所以有3个以上。"),
    ("9", "因此最大值小于 9"),
    ("2024", "所以2024年是闰年。"),
    ("3", "所以在第3象限。"),
    ("25", "所以占百分之25。"),
    ("2", "答：需要2小时30分钟。"),
]


@pytest.mark.parametrize(("answer", "completion"), UNSAID)
def test_a_sentence_that_states_no_quantity_plainly_is_no_answer(checker, answer, completion):
    assert checker.check(answer, completion).outcome == "no_answer"


def test_a_conclusion_is_no_answer_to_another_key(checker):
    for answer, completion in (
        ("5", "答：一共50万元"),
        ("2", "所以原式为2x"),
        ("3", "答：他们的比是3:2。"),
        ("3", "所以是三角形。"),
    ):
        assert checker.check(answer, completion).outcome in ("wrong", "undecided")


@pytest.mark.parametrize(
    "text", ["所以" + "是" * 8000 + "3", "，所以" * 3000, "答：" + "3 " * 4000, "所以有" + "三个，" * 3000]
)
def test_conclusions_are_found_in_time_in_proportion(text):
    start = time.process_time()
    extract(text)
    assert time.process_time() - start < 1
