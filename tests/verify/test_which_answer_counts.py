"""Which of several answers counts: the table of docs/verify.md, and siblings of each line, wrong answers among them."""

import re
from pathlib import Path

import pytest

from limo.core.records import Completion, Problem
from limo.verify.checker import Checker
from limo.verify.extract import extract, extract_from

DOCS = Path(__file__).parents[2] / "docs" / "verify.md"


@pytest.fixture(scope="module")
def checker():
    with Checker() as made:
        yield made


def table_of_the_docs():
    """Completion, finish reason and what is extracted, of each line of the table."""
    section = DOCS.read_text(encoding="utf-8").partition("## Which answer counts")[2].partition("\n## ")[0]
    for line in section.split("\n"):
        if match := re.fullmatch(r"\| .+? \| `(.+?)`(?: \(`(length)`\))? \| `(.+?)` \|", line):
            yield match[1].replace("⏎", "\n"), match[2] or "stop", match[3]


def test_each_line_of_the_table_is_what_happens():
    lines = list(table_of_the_docs())
    assert len(lines) >= 14
    for text, finish_reason, expected in lines:
        extraction = extract(text, finish_reason)
        assert (extraction.text or extraction.missing) == expected, text


CHANGED = [  # the completion, what counts in it
    ("\\boxed{4} Wait, that is wrong. Answer: 5", "5"),
    ("\\boxed{5} is incorrect; the right answer is $6$.", "6"),
    ("\\boxed{4}. Oops, no, it is 7.", "7"),
    ("If we suppose the total is 45, then a part is no integer, a contradiction. I cannot determine the answer.", ""),
    ("Suppose the total is 45.", ""),
    ("If Tom has 5 apples and eats 2, then he has 3 apples left.", "3"),
    ("The answer is 9. <answer>7</answer>", "7"),
    ("<answer>The value is \\(\\boxed{588}\\).</answer>", "588"),
    ("<think>a</think><answer>3</answer><confidence>95</confidence>", "3"),
    ("<answer>12", "12"),
    ("The total is <|begin_of_box|>42<|end_of_box|>", "42"),
    ("The answer is 42<|end|>\n<|user|>and 43?", "42"),
    ("The answer is 42<end_of_turn>", "42"),
    ("答案是5。[/INST] and more", "5"),
    ("I will use \\boxed as asked. The answer is 18.", "18"),
    ("The answer is 18 (no \\boxed needed)", "18"),
    ("Put your answer in \\boxed{answer}.\n\nThe answer is 18.", "18"),
    ("the area is \\boxed{36}\n\nFinal answer: $\\frac{1}{2}$", "\\frac{1}{2}"),
    ("the rate is \\boxed{36}\n\nThe final answer is Evelyn.", "Evelyn"),
    ("\\boxed{5}\n\nThis way the final answer is clearly highlighted.", "5"),
    ("\\boxed{5}\n\nThe answer is reasonable, since 4 is too small.", "5"),
    ("Answer: 73 ✅", "73"),
    ("\\boxed{73 ∎}", "73"),
    ("\\boxed{73 \\checkmark}", "73"),
    ("The answer is 73 $\\checkmark$", "73"),
    ("The answer is 0.2 to 0.6.", "0.2 to 0.6"),
    ("⭐ 73 🎉", "73"),
    ("△ABC", "△ABC"),
    ("Exact: \\boxed{\\sqrt{2}}, numerically \\boxed{\\approx 1.41421}", "\\sqrt{2}"),
    ("\\boxed{5} million people", "5 million"),
    ("12升/分钟=300分钟。所以是12升。", "12升"),
    ("答えは79です。", "79"),
    ("उत्तर 79 है।", "79"),
    ("Die Antwort lautet 79.", "79"),
    ("La réponse finale est 79.", "79"),
    ("La respuesta correcta es 79.", "79"),
    ("Ответ: 79", "79"),
    ("정답은 79입니다.", "79"),
    ("উত্তর: ৭৯", "79"),
    ("คำตอบคือ 79", "79"),
    ("Jibu ni 79.", "79"),
    ("Đáp án là 79.", "79"),
    ("الإجابة هي 79", "79"),
    ("That gives us twelve.", "twelve"),
    ("The statement is false.", "false"),
    ("So the train travels at 60 km/h.", "60 km/h"),
    ("So there are 12 in total.", "12"),
    ("So x = 5, which is the answer we are looking for.", "5"),
    ("The answer that I was looking for is 5.", "5"),
    ("The answer is 5. If x were 3, the answer would be 9.", "5"),
    ("The answer is \\boxed{5}. (If x were 3 instead, the answer would be 9.)", "5"),
    ("The answer is 5. Had x been 3, the answer would be 9.", "5"),
    ("The answer is 5. If x is 3, the answer is 9.", "9"),
    ("Thus the answer would be 9.", "9"),
]


@pytest.mark.parametrize(("text", "answer"), CHANGED)
def test_what_counts_is_what_was_said_last(text, answer):
    assert extract(text).text == answer


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{4} is wrong.",
        "The answer is 4. Sorry, that is incorrect.",
        "It is impossible to say; 4 is not it.",
        "\\boxed{4}\n\nI made a mistake.",
        "\\boxed{4}。这个结果不对。",
    ],
)
def test_what_is_taken_back_is_no_answer_even_if_nothing_follows(text):
    assert extract(text).text == ""


@pytest.mark.parametrize("text", ["\\boxed{4} so it must be \\boxed{5", "\\boxed{4}\n\n\\[ \\boxed{5"])
def test_a_text_cut_in_its_last_box_has_no_answer(text):
    assert extract(text, "length").missing == "truncated"
    assert extract(text).text == "5"  # the model itself ended: it forgot the brace


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 3 out of 5.",
        "The answer is all multiples of 5.",
        "The answer is the square root of 5.",
        "So we choose 12 of the 5 balls.",
        "The answer is twice 5.",
        "The answer is 5 hours and 20 minutes.",
        "The result is 3 more than 5.",
    ],
)
def test_a_number_that_is_part_of_another_thing_is_not_the_answer(checker, text):
    assert checker.check("5", text).outcome != "correct"


def test_a_box_over_four_thousand_characters_does_not_fall_through_to_its_last_number(checker):
    text = "\\boxed{" + "1 + " * 2000 + "5}"
    assert len(extract(text).text) > 4000
    assert checker.check("5", text).outcome != "correct"


LETTERS = [
    ("The answer is for sure D, it can't be A or B", "D"),
    ("It's not A because it makes no sense, therefore I think it's B", "B"),
    ("The answer is C, not A.", "C"),
    ("I choose B over A.", "B"),
    ("The correct answer is A; B is wrong.", "A"),
    ("Answer: D (not C)", "D"),
    ("B。不是 A", "B"),
    ("So it must be D rather than C.", "D"),
    ("A, B and C are ruled out; the answer is D.", "D"),
    ("We get \\boxed{12}. The answer is (B).", "B"),
    ("\\[\\boxed{x \\ll y}\\]\n\n**Answer: D**", "D"),
    ("\\boxed{E = 3}. Option (D) is correct.", "D"),
    ("\\boxed{x<1}，故选D。", "D"),
    ("\\boxed{B}\n\nNote that A would break parity.", "B"),
    ("\\boxed{C}. The answer is 18.", "C"),
    ("The statement that is not true is C.", "C"),
]


@pytest.mark.parametrize(("text", "letter"), LETTERS)
def test_letters_that_are_refused_are_not_chosen(text, letter):
    assert extract(text, letters=True).text == letter


def test_a_thought_without_a_text_after_it_is_read_where_the_server_keeps_it_apart():
    assert extract_from(Completion("", reasoning="so it is\n\\boxed{7}")).text == "7"
    assert extract_from(Completion("\\boxed{8}", reasoning="\\boxed{7}")).text == "8"
    assert extract_from(Completion("", reasoning="so it is 7")).missing == "no_answer"
    assert extract_from(Completion("", "length", reasoning="perhaps \\boxed{7}, but then")).missing == "truncated"


KEYS = [
    ('["3", "5"]', "\\boxed{5, 3}", "\\boxed{3}"),
    ("['Evelyn']", "\\boxed{Evelyn}", "\\boxed{Evan}"),
    ('["$12$"]', "\\boxed{12}", "\\boxed{21}"),
    ('["\\\\frac{1}{2}"]', "\\boxed{0.5}", "\\boxed{2}"),
    ('["B"]', "The answer is B.", "The answer is A."),
]


@pytest.mark.parametrize(("key", "right", "wrong"), KEYS)
def test_a_key_stored_as_a_quoted_list_is_what_is_in_it(checker, key, right, wrong):
    assert checker.check(key, right).outcome == "correct"
    assert checker.check(key, wrong).outcome == "wrong"


@pytest.mark.parametrize(
    "key", ["notfound", "Not found", "see solution", "TBD", "invalid", "the ball reaches the ground before the cube"]
)
def test_a_key_that_no_rule_can_decide_is_named_before_a_model_is_asked(checker, key):
    assert checker.why_not(Problem("", "", key))
    assert checker.check(key, "\\boxed{7}").outcome == "undecided"


def test_the_text_of_an_option_may_be_a_sentence(checker):
    options = ["the ball reaches the ground before the cube", "the cube reaches the ground before the ball"]
    problem = Problem.make("Which?", options[0], options=options)
    assert checker.why_not(problem) == ""
    assert checker.verify(problem, Completion("The answer is A.")).outcome == "correct"
    assert checker.verify(problem, Completion("The answer is B.")).outcome == "wrong"
