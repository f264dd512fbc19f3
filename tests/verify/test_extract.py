"""Where the answer is found, and what is said when there is none."""

import time

import pytest

from limo.verify.extract import _states_nothing, extract

FOUND = [
    ("so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
    ("first \\boxed{3}, no: \\boxed{4}. That \\boxed{5} is it", "5"),
    ("\\boxed{1} and \\boxed{2}", "1, 2"),
    ("\\boxed{k = 45} \\quad \\text{and} \\quad \\boxed{n = 2}", "k = 45, n = 2"),
    ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
    ("\\boxed{20} percent", "20 percent"),
    ("<think>\\boxed{1}</think>It is \\boxed{2}", "2"),
    ("<|begin_of_thought|>\\boxed{7}<|end_of_thought|>", "7"),
    ("<|begin_of_thought|>so it is 7.\n\\[ \\boxed{7} \\]\n<", "7"),
    ("The answer is 42.", "42"),
    ("The final answer is $\\frac{3}{4}$. I hope it is correct.", "\\frac{3}{4}"),
    ("Therefore, there are 12 ways to do it.", "12"),
    ("we get 3 + 4 = 7", "7"),
    ("so far.\n#### 1,234", "1,234"),
    ("**Answer: 17**", "17"),
    ("综上，答案是 $\\frac{1}{2}$。", "\\frac{1}{2}"),
    ("所以最终答案为：3√2", "3√2"),
    ("First try [30], second try [45].", "45"),
    ("The volume of $ABCD$ is 120.", "120"),
    ("answer: 5<|im_end|>\n<|im_start|>user the answer is 6", "5"),
    ("Profit: $93 - $15 = $78.\n\nI think that's the right answer.", "\\$78"),
    ("I am sure the answer is correct. The greater integer is indeed 18.", "18"),
    ("The answer is an integer n below 9.\n\nIt leaves 3.\n\nTherefore, the value of n is 3.", "3"),
    ("**4. Find m + n:**\n\nm + n = 25 + 169 = **194**", "194"),
    ("the answer in another way: the sum \\(a + b = 11 + 9 = 20\\).", "a + b = 11 + 9 = 20"),
    ("I am confident that the answer is three boxes that hold no pens.", "three"),
    ("Solve for a:\n\n3 = 3a - 12\n\nTherefore a = 5.", "5"),
    ("x" * 5000 + "$$" + "y" * 995 + "$$ We have confirmed that: $$\\tan A = 2$$", "\\tan A = 2"),
    ("所以共有5种不同的方法。", "5"),
]


CUT = [  # what stands in them was no answer yet
    "Let us count. If one vertex is fixed, the other three",
    "So, three common digits.\n\nWait, perhaps the example differs, since 413 is",
    "m + n = 12.\n\nTotal: 5 + 3 + 5 = 13.\n\nWait, now it'",
    "We know that the answer is x + y = 17.\n\nI already did that and got x = 6.\n\nAlternatively",
    "We compute step by step.\nStep 1: let n be 5 and consider",
    "To find the area we take the base 10 and the height h, so",
    "The sum is $1 + 2 = 3$, which means that the next",
    "<think>It is 64.</think>Let \\( a, b, c, d",
    "Adding the equations we get 3x = 12 +",
]


@pytest.mark.parametrize("text", CUT)
def test_a_text_that_breaks_off_has_said_nothing(text):
    found = extract(text)
    assert (found.text, found.missing) == ("", "truncated")


@pytest.mark.parametrize(("text", "answer"), FOUND)
def test_the_answer_is_found_where_it_stands(text, answer):
    assert extract(text).text == answer


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("故选：C", "C"),
        ("因此选项 D 正确，故选 D。", "D"),
        ("**B**", "B"),
        ("Therefore the correct option is A.", "A"),
        ("答案为（Ｂ）", "Ｂ"),
        ("\\boxed{\\text{(E)}}", "\\text{(E)}"),
        ("A is a tempting choice, but the answer is D.", "D"),
        ("A, C", "A,C"),
    ],
)
def test_a_letter_is_found_in_a_multiple_choice(text, letter):
    assert extract(text, letters=True).text == letter


@pytest.mark.parametrize(
    ("text", "finish_reason", "missing"),
    [
        ("let me see, x = 3 and then", "length", "truncated"),
        ("<think>let me see, x = 3", "stop", "truncated"),
        ("<think>perhaps \\boxed{3}, but then", "stop", "truncated"),
        ("", "stop", "no_answer"),
        ("   \n ", "stop", "no_answer"),
        ("I do not know the answer because the problem is unclear to me.", "stop", "no_answer"),
        ("x" * 500 + " \\boxed{\\frac{1}{2", "stop", "truncated"),
    ],
)
def test_a_cut_text_is_told_from_one_without_answer(text, finish_reason, missing):
    found = extract(text, finish_reason)
    assert (found.text, found.missing) == ("", missing)


def test_an_article_is_no_letter():
    assert extract("A rough estimate gives nothing.", letters=True).text == ""


OFFERS = [
    "Let me know if you'd like help with step 6.",
    "Would you like me to work out the 2 other cases?",
    "Feel free to ask about any of the 3 steps!",
    "If you have any questions about equation 5, ask.",
    "I hope this helps! Do you want to see all 12 of them?",
    "如果你需要第3步的细节，请告诉我。",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_an_offer_at_the_end_is_no_answer_and_hides_none(offer):
    assert extract(f"1. Find f(6).\n\nAdding it gives what is asked for.\n\n{offer}").missing == "no_answer"
    assert extract(f"1. Find f(6).\n\nSo the sum is 41.\n\n{offer}").text == "41"
    assert extract(f"The answer is 41.\n\n1. Check f(6).\n\n{offer}").text == "41"
    assert extract(f"It is \\boxed{{41}}. {offer}").text == "41"


def test_a_condition_is_no_offer():
    assert extract("Say what you know.\nIf you have 3 apples you need 4 more.").text == "4"


@pytest.mark.parametrize("piece", ["\\boxed{}. ", "so we try again. ", "\n- and then\n"])
def test_a_text_that_goes_round_in_a_circle_was_cut(piece):
    text = "How many are there? " + piece * 200
    assert {extract(text[: len(text) - n]).missing for n in range(len(piece))} == {"truncated"}
    assert extract("How many are there? " + "\\boxed{}. " * 3).missing == "no_answer"
    assert extract("").missing == "no_answer"


def test_a_box_counts_even_when_the_text_was_cut_after_it():
    assert extract("\\boxed{5} and to check, we", "length").text == "5"


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 100_000,
        "{" * 1_000_000,
        "$" * 1_000_000,
        "the answer is " * 50_000,
        "a=" * 500_000,
        "**" * 500_000,
        "\\boxed{" + "{" * 5000 + "}" * 5000 + "}",
        "(" * 300_000 + "1" + ")" * 300_000,
        "\n" * 1_000_000,
        "1 " * 500_000,
        "\\[" * 300_000,
        "答案是" * 200_000,
        "is is " * 200_000,
        "#" * 1_000_000,
        "the answer? " * 80_000 + "x",
        "x " + "?" * 1_000_000 + "x",
        "(A) ， " * 150_000,
        "* " + " " * 1_000_000 + "x",
    ],
)
def test_reading_a_million_characters_takes_a_moment(text):
    start = time.process_time()
    extract(text)
    extract(text, letters=True)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("Suppose it is 45.", False),
        ("** \n It is 45, a contradiction.\nSo no.", False),
        ("It is 45.\nThat is a contradiction.", True),
        ("Is the answer 45?", False),
        ("答案 是 45 吗？ **", False),
        ("Is the answer 45?\n**", False),
        ("Which? The answer is 45", True),
        ("The answer: 45.\nRight?", True),
        ("It is 45, right?", True),
    ],
)
def test_a_sentence_that_supposes_contradicts_or_asks_states_nothing(text, states):
    assert _states_nothing(text) is not states


@pytest.mark.parametrize("word", [" box", " fbox", "boxed ", "\\boxed{", "unboxed"])
def test_a_text_of_nothing_but_boxes_costs_hardly_more_than_another_of_its_length(word):
    def seconds(text):
        began = time.perf_counter()
        extract(text)
        return time.perf_counter() - began

    text, plain = word * (4_000_000 // len(word)), "abcd" * 1_000_000
    assert min(seconds(text) for _ in range(3)) < 20 * min(seconds(plain) for _ in range(3))
