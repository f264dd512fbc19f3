"""The canonical form ignores typography and nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo.pool.canonical import buffers
from limo.pool.canonical.statements import answer_keys, canonical, scan_statements

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
    (r"$n \in \mathbb{N}$", r"$n\in\mathbf{N}$"),
    (r"$g: \mathbb{Q} \to \mathbb Q$", "g : ℚ → ℚ"),
    (r"the length of $\mathbf{v}$", "the length of $v$"),
    ("h''(5) + k''(1)", r"h^{\prime\prime}(5) + k^{\prime \prime}(1)"),
    ("h''(5)", "h^{''}(5)"),
    (r"\binom{8}{m+1}", r"{8 \choose m+1}"),
    (r"\binom{8}{k}", r"\tbinom{8}{k}"),
    (r"\binom{8}{2^{k}}", r"{8\choose 2^{k}}"),
    (r"求$\complement_S(M\cap N)$", "求∁_S(M∩N)"),
    (r"求$\complement_S(M\cap N)$", "求∁S(M∩N)"),
    (r"\begin{pmatrix} 5 & 6 \\ 7 & 8 \end{pmatrix}", "\\begin{pmatrix}5&6\\\\\n7&8\\\\\n\\end{pmatrix}"),
    (r"\begin{bmatrix} 5 & 6 \\ 7 & 8 \end{bmatrix}", r"\left[ \begin{array}{cc} 5 & 6 \\ 7 & 8 \end{array} \right]"),
    (r"\begin{pmatrix} 5 & 6 \\ 7 & 8 \end{pmatrix}", r"\left(\begin{array}{rr}5&6\\7&8\end{array}\right)"),
    (r"\begin{vmatrix} 5 & 6 \\ 7 & 8 \end{vmatrix}", r"\left|\begin{array}{rr}5&6\\7&8\end{array}\right|"),
    (r"\begin{cases} x=5 \\ y=6 \end{cases}", r"\left\{\begin{array}{l} x=5 \\ y=6 \end{array}\right."),
    (r"$\overrightarrow{PQ} // \overrightarrow{RS}$", r"$\vec{PQ}\parallel\vec{RS}$"),
    ("so $PQ // RS$ holds", "so PQ ∥ RS holds"),
    ("已知直线$s//t$，", "已知直线s∥t，"),
    (r"\gcd(8,20)", r"\operatorname{gcd}(8,20)"),
    (r"\gcd(8,20)", "gcd(8, 20)"),
    (r"\log_3 y - \sin t", r"\mathrm{log}_3 y - \text{sin} t"),
    (r"P = \emptyset", r"P=\varnothing"),
    ("抽到黑球的機率", "抽到黑球的概率"),
    ("绳长7公分", "绳长7厘米"),
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
    ("radius R, x in R", "radius R, x in S"),
    ("h'(5)", "h^{\\prime\\prime}(5)"),
    (r"\binom{3}{2}", r"\binom{2}{3}"),
    (r"{8 \choose 3}", r"{3 \choose 8}"),
    (r"\complement_S M", r"\complement_M S"),
    (r"\begin{vmatrix} 5 & 6 \\ 7 & 8 \end{vmatrix}", r"\begin{pmatrix} 5 & 6 \\ 7 & 8 \end{pmatrix}"),
    (r"\begin{pmatrix} 5 & 6 \\ 7 & 8 \end{pmatrix}", r"\begin{pmatrix} 5 \\ 6 \\ 7 \\ 8 \end{pmatrix}"),
    (r"\[ \begin{array}{c} 5 \\ 6 \end{array} \]", r"\begin{pmatrix} 5 \\ 6 \end{pmatrix}"),
    ("17//5 is printed", r"17 \parallel 5 is printed"),
    ("n//k is printed", r"n \parallel k is printed"),
    ("看 http://AB.cn", r"看 http:\parallel AB.cn"),
    (r"\sin t", r"\cos t"),
    ("通分后的公分母", "通分后的厘米母"),
    ("7分米", "7米"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_typography_is_no_difference(left: str, right: str) -> None:
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(("left", "right"), OTHER)
def test_signs_digits_and_structure_are_a_difference(left: str, right: str) -> None:
    assert canonical(left) != canonical(right)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80))
def test_the_forms_of_any_text_exist_and_the_canonical_one_ignores_white_space(text: str) -> None:
    assert len(scan_statements([text]).tokens) <= 3 * len(text) + 3
    assert canonical(f"  {text}\n") == canonical(text)


LATEX = st.lists(
    st.sampled_from([*"ab1209.,;'{}[]()^_$ /\\+-=<|%求", r"\frac", r"\bar", r"\text", r"\le", "1/2", "\n"])
)


@settings(max_examples=80, deadline=None)
@given(LATEX, LATEX)
def test_a_text_is_read_alike_alone_and_in_a_batch(one: list[str], other: list[str]) -> None:
    texts = ["".join(one), "".join(other), "", "".join(one)]
    scanned = scan_statements(texts, keep_canonical=True)
    assert list(scanned.canonical) == list(map(canonical, texts))
    keys, columns = scanned.keys, slice(0, buffers.KIND + 1)
    assert (keys[0] == keys[3]).all() and (keys[1] == scan_statements(texts[1:2]).keys[0]).all()
    assert scanned.tokens_of(0)[:, columns].tolist() == scanned.tokens_of(3)[:, columns].tolist()


def same(left: str, right: str, *columns: int) -> bool:
    keys = scan_statements([left, right]).keys
    return all(keys[0, column] == keys[1, column] for column in columns)


def test_numbers_are_read_in_words_too_but_one_is_a_pronoun() -> None:
    text = "One has two apples, 3.50 dollars and 1,000 pens"
    assert same(text, "2 and 3.5 and 1000", buffers.NUMBERS) and not same(text, "1, 2, 3.5, 1000", buffers.NUMBERS)
    assert canonical("3.50 dollars") != canonical("3.5 dollars")  # one number in two spellings
    assert not same("2 and 3", "3 and 2", buffers.NUMBERS) and not same("23", "2 3", buffers.NUMBERS)


def test_hyphens_are_no_minus_signs() -> None:
    assert same("a two-digit number on the axis, 9-kilometer", "", buffers.SYMBOLS)
    assert same("3-1 and ab - cd", "- -", buffers.SYMBOLS) and not same("3-1", "", buffers.SYMBOLS)
    assert same(r"a \times b", "a × b", buffers.SYMBOLS) and not same("a * b", "a + b", buffers.SYMBOLS)


def test_names_leave_out_words_that_only_begin_a_sentence() -> None:
    assert same("If Tom met Ann. They saw $ABC$", "Tom Ann ABC", buffers.NAMES)
    assert not same("If Tom met Ann", "If Ann met Tom", buffers.NAMES) and not same(
        "we met Tom", "we met tom", buffers.NAMES
    )


def test_a_derivative_is_not_its_function_but_quotation_marks_are_typography() -> None:
    assert canonical("f'(x) = 2") != canonical("f(x) = 2") and canonical("Tom's 'pen'") == canonical("Toms pen")


def test_tokens_are_spelled_as_the_text_has_them() -> None:
    scanned = scan_statements([r"Find \dfrac{1}{2}, twice!"])
    spans = scanned.tokens_of(0)[:, buffers.START : buffers.END + 1].tolist()
    words = [scanned.text_between(*span) for span in spans]
    assert words == ["Find", r"\dfrac", "1", "2", "twice", "!"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("$18$", "18"),
        ("5.0", "5"),
        (r"\dfrac{1}{2}", "1/2"),
        ("1.75", r"\frac{7}{4}"),
        (r"\frac{y+1}{3y}", "(y+1)/3y"),
        ("-0.50", "-2/4"),
        ("(A)", "A"),
        ("097", "97"),
        (r"83^\circ", "83"),
        ("b=4", "4"),
    ],
)
def test_one_answer_in_two_spellings_has_one_key(left: str, right: str) -> None:
    assert len(set(answer_keys([left, right]))) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("-5", "5"),
        ("0.5", "5"),
        ("10", "1"),
        ("A", "B"),
        ("x=y", "y"),
        ("100", "1"),
        ("0.333", "1/3"),
        ("3/0", "0"),
        (r"\frac{y+1}{y-2}", "y+1/y-2"),
    ],
)
def test_other_answers_have_other_keys(left: str, right: str) -> None:
    assert len(set(answer_keys([left, right]))) == 2


MARKS = [
    *"`#*_${'\"^|½。 \n", "``", "```", "# ", "**", "__(", "\\(", "\\[", "\\text{", "\\frac", "<b>", "&lt;", "> ",
    "---\n", "(a) ", "1) ", "Q. ", "AB ", "\u200b", "http://", "x^",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.hostile
@pytest.mark.parametrize("mark", MARKS)
def test_marks_that_never_close_take_time_in_proportion(mark):
    def seconds(n, end):
        text = ("AB CD " if mark.startswith("\\") else "") + mark * (n // len(mark)) + end
        start = time.process_time()
        canonical(text)
        return time.process_time() - start

    canonical("compiled first")
    for end in ("", " y", "\n''", " y."):
        assert seconds(40_000, end) < 8 * seconds(10_000, end) + 0.5
