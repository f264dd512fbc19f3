"""A restriction that the key lacks makes another answer; what only says what letters stand for does not."""

import pytest

from limo.verify.maths.equal import equal

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
