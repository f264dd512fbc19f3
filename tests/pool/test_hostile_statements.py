"""Statements that are made to be slow to read cost time by their length, whatever they repeat."""

import time

import pytest

from limo.core.records import Problem
from limo.pool.dedup import dedup

OPENINGS = [
    "[asy]", "\\frac{", "\\dfrac{", "\\begin{tikzpicture}", "\\begin{asy}\\begin{figure}", "\\includegraphics ", "![",
    "<image ", "\\text{", "\\overline{A}_{", "(A) a ", "\\boxed{",
]  # fmt: skip


@pytest.fixture(scope="module")
def warm():
    dedup([Problem.make("What is 1 + 1?", "2"), Problem.make("What is \\frac1 2 + 3?", "4")])


@pytest.mark.parametrize("unit", OPENINGS)
def test_what_is_opened_again_and_again_and_never_closed_costs_time_by_its_length(warm, unit):
    began_s = time.process_time()
    dedup([Problem.make("Find " + unit * (400_000 // len(unit)), "1"), Problem.make("What is 1 + 2?", "3")])
    assert time.process_time() - began_s < 5  # quadratic ones took minutes


def test_fractions_inside_of_fractions_cost_time_by_their_length_too(warm):
    began_s = time.process_time()
    dedup([Problem.make("Find " + "\\frac{" * 60_000 + "1}{2}" * 60_000, "1"), Problem.make("What is 1 + 2?", "3")])
    assert time.process_time() - began_s < 5
