"""A restriction that the key lacks makes another answer; what only says what letters stand for does not."""

import pytest

from limo.verify.maths.equal import equal
from limo.verify.maths.scalars import Rules

RESTRICTED = [
    ("f(x)=x", "f(x)=x \\text{ for } x>0"),
    ("f(x)=x", "f(x)=x,\\ x\\in\\mathbb{Z}"),
    ("2x+1", "2x+1 \\text{ where } x=3"),
    ("2x+1", "2x+1 \\text{ for } x \\le 3"),
    ("n(n-1)", "n(n-1) \\text{ for odd } n"),
    ("n(n-1)", "n(n-1)\\text{ when } n\\text{ is even}, 0 \\text{ otherwise}"),
    ("x=2k\\pi,k\\in\\mathbb{Z}", "x=2k\\pi,k\\in\\mathbb{N}"),
    ("7", "7\\backslash 2"),
]
HARMLESS = [
    ("x^2+C", "x^2+C \\text{ where } C \\text{ is a constant}"),
    ("x=2k\\pi", "x=2k\\pi,k\\in\\mathbb{Z}"),
    ("x=2k\\pi,k\\in\\mathbb{Z}", "x=2n\\pi,n\\in\\mathbb{Z}"),
    ("f(x)=x", "f(x)=x \\text{ for all } x"),
    ("f(n)=n", "f(n)=n \\text{ for all positive integers } n"),
    ("\\frac{n(n+1)}{2}", "\\frac{n(n+1)}{2} \\text{ for } n \\ge 1"),
    ("f(x)=c", "f(x)=c \\text{ where } c > 0"),
    ("n(n-1), n\\in\\mathbb{N}", "n(n-1)"),
    ("-12", "负12"),
    ("-12", "minus 12"),
]


@pytest.mark.parametrize(("gold", "pred"), RESTRICTED)
def test_a_restriction_that_the_key_lacks_is_not_dropped(gold, pred):
    assert not equal(gold, pred).same


@pytest.mark.parametrize(("gold", "pred"), HARMLESS)
def test_what_letters_stand_for_restricts_nothing(gold, pred):
    assert equal(gold, pred).same


IN_ANY_ORDER = [
    ("a>0 and b>0", "b>0 and a>0"), ("a>0且b>0", "b>0，a>0"), ("a>0 \\land b<0", "b<0并且a>0"),
    ("a>0 or b<0", "b<0 或 a>0"),
    ("x=1 \\lor x=2", "x=2 or x=1"), ("0<a<1 and b>2", "b>2 and 0<a<1"), ("m=1 or n>2", "n>2 or m=1"),
    ("2,3", "x₁=3，x₂=2"), ("3, 2", "x_1=3, x_2=2"), ("x=2, x=3", "x₁=3 或 x₂=2"), ("\\{2,3\\}", "x₁=3、x₂=2"),
]  # fmt: skip
OTHERS = [
    ("a>0 and b>0", "a>0 or b>0"), ("a>0 and b>0", "b>0 and b>0"), ("a>0, b>0", "a>0 or b>0"),
    ("x=1 or x=2", "x=1 and y=2"),
    ("x=1, y=2", "x=1, x=2"), ("5, 2", "x=2, y=5"), ("5, 2", "a_1=2, a_2=5"), ("(5, 2)", "x_1=2, x_2=5"),
    ("2, 3", "x₁=3，x₂=3"),
    ("x=1 or x=2", "y=1 or y=2"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "pred"), IN_ANY_ORDER)
def test_conditions_and_numbered_roots_have_no_order(gold, pred):
    assert equal(gold, pred).same


@pytest.mark.parametrize(("gold", "pred"), OTHERS)
def test_other_conditions_and_names_are_not_the_same(gold, pred):
    assert not equal(gold, pred).same


def test_names_of_the_problem_are_names():
    statement = Rules(statement="Solve x_1 + x_2 = 7, x_1 - x_2 = -3.")
    assert equal("2, 5", "x_1 = 2, x_2 = 5", statement).same and not equal("2, 5", "x_1 = 5, x_2 = 2", statement).same
