import random
import re
from pathlib import Path

import pytest

import limo
from limo.core import text as module
from limo.core.text import (
    HIDDEN,
    THOUGHT_END,
    THOUGHT_MARKER,
    THOUGHT_START,
    content_hash,
    hide_keys,
    language_of,
    normalise_statement,
    operations,
    short_names,
    shorten,
    shown_p,
    signed,
    whole_number,
)

SOURCES = sorted(Path(limo.__file__).parent.rglob("*.py"))


def test_a_number_with_a_sign_and_one_of_operations_are_written_in_one_place_each():
    """`signed` has a true minus sign; `operations` is the one form of FLOPs (a rate, /s, has a unit of its own)."""
    assert (signed(-2.54), signed(3), signed(-0.5, 2), operations(1.53e12)) == ("−2.5", "+3.0", "−0.50", "1.5e+12")
    others = {
        f"{path.name}: {found}"
        for path in SOURCES
        for found in re.findall(
            r"\{[^{}]*:\+[^{}]*\}|\{[^{}/\"']*flops[^{}/\"']*:[^{}]*\}", path.read_text(encoding="utf-8")
        )
    }
    assert others == {"text.py: {flops:.1e}"}


def test_a_hash_is_sixteen_hex_digits_and_stays_the_same_for_ever():
    assert content_hash("limo") == "97e0ed1e65f37acd"


def test_the_boundaries_of_parts_count():
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash("ab") != content_hash("ab", "")


def test_a_lone_surrogate_can_be_hashed():
    assert content_hash("\ud800") != content_hash("")


@pytest.mark.parametrize("other", ["Find $x$ if x=-1.", " Find  $x$\n if x=-1. ", "Find\u200b $x$ if\u00a0x=-1."])
def test_white_space_and_invisible_characters_do_not_change_a_statement(other):
    assert normalise_statement(other) == "Find $x$ if x=-1."


@pytest.mark.parametrize("other", ["Find $x$ if x=1.", "Find $x$ if x=-2.", "Find x if x=-1.", "find $x$ if x=-1."])
def test_signs_digits_marks_and_case_do_change_it(other):
    assert normalise_statement(other) != "Find $x$ if x=-1."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Find the sum of $a$", "en"),
        ("求 $x$ 的值", "zh"),
        ("已知 sin x = 1，求 x 的值", "zh"),
        ("求∫₀^∞ e^{−2x}dx。", "zh"),
        ("求 max(ab, cd) + min(ef, gh)", "zh"),
        ("What does 汉字 mean?", "en"),
        ("1+1", "und"),
        ("", "und"),
    ],
)
def test_the_language_is_that_of_the_words(text, language):
    assert language_of(text) == language


def test_a_shortened_text_is_one_line_of_the_width():
    assert shorten("a\nb  c", 10) == "a b c"
    assert shorten("x" * 20, 10) == "x" * 9 + "…"
    assert len(shorten("x" * 20, 10)) == 10


@pytest.mark.parametrize("name", ["think", "Think", "thinking", "THINKING"])
def test_thought_markers_are_found_in_any_case(name):
    assert THOUGHT_START.fullmatch(f"<{name}>") and THOUGHT_END.fullmatch(f"</{name}>")
    assert THOUGHT_MARKER.fullmatch(f"<{name}>") and THOUGHT_MARKER.fullmatch(f"</{name}>")


def test_markers_of_the_solution_are_no_ends_of_the_thought():
    assert THOUGHT_MARKER.fullmatch("<|begin_of_solution|>") and THOUGHT_MARKER.fullmatch("<|end_of_solution|>")
    assert not THOUGHT_END.search("<|end_of_solution|>") and not THOUGHT_START.search("<|begin_of_solution|>")
    assert not THOUGHT_MARKER.search("<thinker> <|end_of_text|>")


def test_keys_are_hidden_as_by_a_search_for_all_shapes_at_once():
    slow, draw = re.compile("|".join(module._KEYS)), random.Random(3)
    parts = [
        "sk-",
        "gsk-",
        "hf_",
        "ghp_",
        "AKIA",
        "AIza",
        "xoxb-",
        "Bearer ",
        "beareR\t",
        "https://",
        "u:p",
        "@",
        "/",
        " ",
    ]
    parts += ["\n", "é", "İ", "ſ", "A" * 16, "a1" * 15, "9Z" * 10, "x-_" * 6, "="]
    n_hidden = 0
    for _ in range(3000):
        text = "".join(draw.choices(parts, k=draw.randrange(1, 9)))
        assert hide_keys(text) == slow.sub(HIDDEN, text), text
        n_hidden += hide_keys(text) != text
    assert n_hidden > 200


def test_a_p_value_is_shown_with_three_digits_or_as_below_them():
    assert [shown_p(p) for p in (1.0, 0.0472, 0.001, 0.0004, 0.0)] == [
        "= 1.000", "= 0.047", "= 0.001", "< 0.001", "< 0.001"
    ]  # fmt: skip


def test_a_name_is_shown_without_what_stands_before_its_last_slash_where_names_stay_different():
    assert short_names(["/home/x/models/m.gguf", "owner/base"]) == {
        "/home/x/models/m.gguf": "m.gguf",
        "owner/base": "base",
    }
    assert short_names(["a/m", "b/m"]) == {"a/m": "a/m", "b/m": "b/m"} and short_names(["/x/m/"]) == {"/x/m/": "m"}
    assert short_names(["/", "plain"]) == {"/": "/", "plain": "plain"} and short_names([]) == {}


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("9" * 18, 10**18 - 1), ("9" * 5000, None),
                                              ("-1", None), ("²", None), ("1.5", None), ("", None)])  # fmt: skip
def test_a_whole_number_is_read_of_few_decimal_digits_only(text, number):
    assert whole_number(text) == number
