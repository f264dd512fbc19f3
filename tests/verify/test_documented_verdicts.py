"""The tables of verdicts in docs/verify.md, each row decided by the verifier with its default settings."""

import re
from pathlib import Path

import pytest

from limo.core.records import Completion, Problem
from limo.verify.maths_verifier import MathsVerifier

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verify.md"
HEAD = r"\| known answer \| completion \| problem \| verdict \|\n\|[-|]+\|\n((?:\|.*\|\n)+)"
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for table in re.findall(HEAD, PAGE.read_text(encoding="utf-8"))
    for row in table.splitlines()
]


@pytest.fixture(scope="module")
def verifier():
    made = MathsVerifier()
    yield made
    made.close()


@pytest.mark.parametrize(("answer", "text", "problem", "outcome"), ROWS)
def test_the_verdict_is_the_documented_one(verifier, answer, text, problem, outcome):
    completion = Completion(f"Therefore \\boxed{{{text}}}.")
    assert verifier.verify(Problem.make(problem, answer), completion).outcome == outcome


def test_the_page_has_verdicts_of_every_kind():
    assert {"correct", "wrong", "undecided"} <= {outcome for *_, outcome in ROWS} and len(ROWS) >= 15
