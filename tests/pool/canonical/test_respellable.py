"""A text without a mark is one that no rule of respelling changes: the compiled search against the rules themselves."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.pool.canonical import markup, spelling
from limo.pool.canonical.characters import code_points
from limo.pool.canonical.respellable import find_respellable
from limo.pool.canonical.spelling import respell

PIECES = [
    *"ab1209.,;'{}[]()^_$ /\\+-=<|%求AB!?:\"é²\n~`&*m>xM\0\x85\t\x1c\x7f①㎝小明公分\u3000\u0663", "frac", "sqrt", "//",
    "AB", r"\frac", r"\bar", r"\text", r"\left", r"\right", r"\quad", r"\sqrt", r"\ ", r"\\", "1/2", ",000", "{,}123",
    "  ", "a.m", "AM", "pm", " per", "cent", "per cent", r"\prime", r"\cdot", r"\colon", r"\choose", r"\complement",
    "A cat", r"\underline{", r"\uline{", r"\_", r"\sin{", r"\ln {", r"\exp{", r"\begin{pmatrix}", r"\end{pmatrix}",
    r"\vec{a}", r"\triangle", r"\,", r"\!", "{}", "^{", "''", "\u0663\u0663\u0663",
]  # fmt: skip


def _found(texts: list[str]) -> list[bool]:
    found = np.empty(len(texts), bool)
    find_respellable(*code_points(texts), *spelling._MARKS, found)
    return found.tolist()


def _assert_others_stay(texts: list[str]) -> None:
    changed = [spelling._respell_together([text])[0] != text for text in texts]
    missed = [text for text, found, has in zip(texts, _found(texts), changed, strict=True) if has and not found]
    assert missed == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=20), max_size=8))
def test_texts_without_a_mark_are_left_as_they_are(texts: list[str]) -> None:
    _assert_others_stay(texts)


def test_no_mark_is_missed_in_many_random_texts() -> None:
    rng = random.Random(20)
    _assert_others_stay(["".join(rng.choices(PIECES, k=rng.randint(1, 14))) for _ in range(20_000)])


@pytest.mark.parametrize("text", [
    "Find $x^{2} + \\frac{a}{b}$, where a, b > 0.", "In triangle $ABC$, $\\sin A = \\frac{3}{5}$.", "Tom's 3 dogs ran.",
    "已知 $f(x) = x + 1$, 求 $f(2)$ 的值.", "", "$\\left( \\sqrt{x} \\right)$",
])  # fmt: skip
def test_plain_statements_have_no_mark(text: str) -> None:
    assert _found([text]) == [False] and respell([text]) == [text]


@pytest.mark.parametrize("text", [
    "20!", "3\\frac12", "1,000", "1{,}000", "1 / 2", "A cat", "5 a.m.", "f'(2)' 3'", "a & b", "x \\\\ y", "小明", "___",
    "= ?", "2*3", "3 per cent", "\\vec{a}_1", "x >= 2", "\\cdot 3", "(  )", "\\sin{x}", 'a "b"',
])  # fmt: skip
def test_what_a_rule_changes_has_a_mark_wherever_it_stands(text: str) -> None:
    assert _found(["plain", text, "plain", f"so {text}"]) == [False, True, False, text != "A cat"]


MARKUP = [
    *"aB(){} \n>A*#", "---", "===", "***", "\\", r"\text", r"\textrm", r"\mathbf{", "A.)", r"\textbf{", r"\emph{",
    r"\uline{", r"\section*{", r"\subsection{", r"\paragraph{", r"{\bf ", r"{\scshape ", r"{\emseries ", r"\underline{",
    "<p>", "[x]", "ab", r"\begin", "{problem}", r"\end{center}", r"\noindent", r"\par", r"\parallel", r"\bigskip",
    r"\centering",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MARKUP), max_size=9).map("".join))
def test_latex_without_a_sign_of_markup_is_left_by_its_rules(text: str) -> None:
    marked = markup._LATEX_LAYOUT.sub(" ", markup._LATEX_MARKED.sub(markup._plain, text))
    assert marked == text or markup._MAY_BE_MARKED.search(text)
