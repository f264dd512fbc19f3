"""The normal form forgives typography and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.pool.normal import (
    canonical,
    digits,
    masked,
    names,
    ngrams,
    numbers,
    operators,
    plain_answer,
    plain_words,
    tokens,
)

SAME = [
    (r"Find $\dfrac12 + x$.", r"find \(\frac{1}{2}+x\)"),
    ("Find  $x$\n if $x=1$", "Find $x$ if $x = 1$."),
    ("x² + 1", "x^2+1"),
    ("a − b", "a - b"),
    ("x ≤ 1,000", r"$x \leq 1000$"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{π}{2})"),
    (r"$\overline{r}_1$", r"$\overline{r_1}$"),
    ("求１＋２。", "求 1+2"),
    ("Problem 5. Find x", "Find x"),
    ("3. 小明有5个苹果", "小明有5个苹果"),
    (r"the probability is 1/6", r"the probability is $\tfrac{1}{6}$"),
    (r"Area in $\text{cm}^2$", r"Area in $\mathrm{cm}^{2}$"),
    ("foci at (3,7), and (1,2)", "foci at (3,7) and (1,2)"),
]
OTHER = [
    ("z^4 - z^2 + 1", "z^4 + z^2 + 1"),
    ("z^4 - z^2", "z^4 z^2"),
    ("x = 12", "x = 1 2"),
    ("x^{12}", "x^1 2"),
    (r"\sqrt{2x}", r"\sqrt{2}x"),
    (r"\frac{1}{23}", r"\frac{12}{3}"),
    ("x²", "x2"),
    ("x_1", "x1"),
    ("f(x,y)", "f(xy)"),
    ("n! is", "n is"),
    (".5", "5"),
    ("1.5", "15"),
    ("x < 1", "x > 1"),
    ("triangle ABC", "triangle abc"),
    ("50% of 3", "50 of 3"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_typography_is_no_difference(left: str, right: str) -> None:
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(("left", "right"), OTHER)
def test_signs_digits_and_structure_are_a_difference(left: str, right: str) -> None:
    assert canonical(left) != canonical(right)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_the_forms_of_any_text_exist_and_the_canonical_one_ignores_white_space(text: str) -> None:
    assert isinstance(canonical(text), str) and isinstance(tokens(text), list)
    assert canonical(f"  {text}\n") == canonical(text)


def test_numbers_are_read_in_words_too_but_one_is_a_pronoun() -> None:
    words = tokens("One has two apples, 3.50 dollars and 1,000 pens")
    assert numbers(words) == ("2", "3.5", "1000")
    assert digits("two apples and 3.50") == ("3.5",)
    assert masked(["2", "x", "10"]) == ["0", "x", "0"]


def test_hyphens_are_no_minus_signs() -> None:
    assert operators(tokens("a two-digit number on the x-axis, 9-kilometer")) == ()
    assert operators(tokens("x-1 and ab - cd")) == ("-", "-")


def test_names_leave_out_words_that_only_begin_a_sentence() -> None:
    assert names("If Tom met Ann. They saw $ABC$") == ("Tom", "Ann", "ABC")


def test_ngrams_of_a_short_text_are_the_text_itself() -> None:
    assert ngrams(["a", "b"], 3) == ["a b"] and ngrams([], 3) == []
    assert ngrams(["a", "b", "c"], 2) == ["a b", "b c"]


def test_han_characters_are_words_of_their_own() -> None:
    assert plain_words("求x的值 now") == ["求", "x", "的", "值", "now"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("$18$", "18"),
        ("5.0", "5"),
        (r"\dfrac{1}{2}", "1/2"),
        ("(A)", "A"),
        ("097", "97"),
        (r"83^\circ", "83"),
        ("b=4", "4"),
    ],
)
def test_one_answer_in_two_spellings_has_one_key(left: str, right: str) -> None:
    assert plain_answer(left) == plain_answer(right)


@pytest.mark.parametrize(
    ("left", "right"), [("-5", "5"), ("0.5", "5"), ("10", "1"), ("A", "B"), ("x=y", "y"), ("100", "1")]
)
def test_other_answers_have_other_keys(left: str, right: str) -> None:
    assert plain_answer(left) != plain_answer(right)
