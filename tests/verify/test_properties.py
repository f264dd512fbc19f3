"""What must hold for any answer: written otherwise it is the same, changed a little it is not."""

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limo.verify.extract import extract
from limo.verify.maths.equal import equal

wholes = st.integers(-(10**7), 10**7)
fractions = st.builds(Fraction, st.integers(-999, 999), st.integers(1, 999))
WRAPPERS = st.sampled_from(
    ["{}", "${}$", "\\boxed{{{}}}", "\\left({}\\right)", "x = {}", "\\text{{}}{}", " {} .", "\\displaystyle {}"]
)
quick = settings(max_examples=60, deadline=None)


def tex(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


@quick
@given(wholes, WRAPPERS)
def test_a_whole_number_equals_itself_however_wrapped(n, wrapper):
    assert equal(str(n), wrapper.format(n)).same


@quick
@given(wholes)
def test_a_whole_number_equals_itself_grouped_and_as_a_decimal(n):
    for text in (
        f"{n:,}",
        f"{n:,}".replace(",", "{,}"),
        f"{n}.0",
        f"{n}.",
        f"{n}\\text{{ cm}}",
        f"{n:,}".replace(",", "\\,"),
    ):
        assert equal(str(n), text).same, text


@quick
@given(
    wholes,
    st.sampled_from([lambda n: n + 1, lambda n: -n, lambda n: n * 100, lambda n: n * 10, lambda n: Fraction(n, 100)]),
)
def test_a_whole_number_equals_no_neighbour(n, change):
    other = change(n)
    assume(other != n)
    text = str(other) if isinstance(other, int) else tex(other)
    assert equal(str(n), text).same is False
    assert equal(text, str(n)).same is False


@quick
@given(fractions, st.integers(2, 40))
def test_a_fraction_equals_itself_scaled_and_slashed(value, k):
    scaled = f"\\dfrac{{{k * value.numerator}}}{{{k * value.denominator}}}"
    for text in (scaled, f"{value.numerator}/{value.denominator}", tex(value)):
        assert equal(tex(value), text).same, text


@quick
@given(fractions, fractions)
def test_two_fractions_are_the_same_exactly_when_they_are(a, b):
    assert equal(tex(a), tex(b)).same is (a == b)


@quick
@given(st.lists(fractions, min_size=2, max_size=6, unique=True), st.randoms())
def test_order_counts_in_tuples_and_not_in_lists(values, random):
    shuffled = values[:]
    random.shuffle(shuffled)
    written, other = [", ".join(tex(v) for v in side) for side in (values, shuffled)]
    assert equal(written, other).same
    assert equal(f"\\{{{written}\\}}", f"\\{{{other}\\}}").same
    assert equal(f"({written})", f"({other})").same is (values == shuffled)
    assert equal(written, ", ".join(tex(v) for v in values[:-1])).same is False


@quick
@given(fractions, fractions, st.sampled_from("[("), st.sampled_from("])"))
def test_an_interval_is_its_inequality_and_no_other(a, b, left, right):
    assume(a < b)
    signs = {"[": "\\le", "(": "<", "]": "\\le", ")": "<"}
    interval = f"{left}{tex(a)}, {tex(b)}{right}"
    assert equal(interval, f"{tex(a)} {signs[left]} x {signs[right]} {tex(b)}").same
    for other_left in "[(":
        for other_right in "])":
            other = f"{other_left}{tex(a)}, {tex(b)}{other_right}"
            assert equal(interval, other).same is ((left, right) == (other_left, other_right))


@quick
@given(st.integers(2, 60), st.integers(1, 30), st.integers(2, 60), st.integers(1, 30))
def test_roots_are_compared_by_value(n, a, m, b):
    same = a * a * n == b * b * m
    assert equal(f"{a}\\sqrt{{{n}}}", f"{b}\\sqrt{{{m}}}").same is same
    assert equal(f"{a}\\sqrt{{{n}}}", f"\\sqrt{{{a * a * n}}}").same


@quick
@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 9))
def test_polynomials_are_compared_as_polynomials(p, q, k):
    assert equal(f"(x+{p})(x+{q})".replace("+-", "-"), f"x^2+{p + q}x+{p * q}".replace("+-", "-")).same
    assert equal(f"(x+{p})(x+{q})".replace("+-", "-"), f"x^2+{p + q}x+{p * q + k}".replace("+-", "-")).same is False


@quick
@given(st.integers(1, 999), st.integers(-30, 30))
def test_powers_of_ten_are_written_in_many_ways(mantissa, power):
    gold = f"{mantissa / 100}e{power}"
    assert equal(gold, f"{mantissa / 100} \\times 10^{{{power}}}").same
    assert equal(gold, f"{mantissa / 100} \\times 10^{{{power + 1}}}").same is False


def assert_extracted_or_missing(text):
    extraction = extract(text)
    assert bool(extraction.text) != bool(extraction.missing)
    assert bool(extraction.text) == bool(extraction.rule)
    assert extraction.missing in ("", "no_answer", "truncated")


@quick
@given(st.text(max_size=200))
def test_any_text_is_the_same_as_itself_and_is_no_fraction_that_it_does_not_state(text):
    assert equal(text, text).same is True
    assert equal("\\frac{355}{113}", text).same is not True
    assert_extracted_or_missing(text)


@quick
@given(st.text(alphabet="\\{}()[]^_$,;=+-<>|x1.! \nfracsqtboedπ一", max_size=120))
def test_any_broken_latex_is_the_same_as_itself_and_is_no_fraction_that_it_does_not_state(text):
    assert equal(text, text).same is True
    assert equal("\\frac{355}{113}", text).same is not True
    assert_extracted_or_missing("\\boxed{" + text)
