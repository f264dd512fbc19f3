"""Labelled answers by class, as suites of checkers have them: every case of every class, as many wrong as right."""

import re
from collections import Counter
from pathlib import Path

import pytest

from limo.core.process.limits import CallLimits
from limo.verify.checker import Checker

FOLDER = Path(__file__).parent / "cases"


def cases():
    for path in sorted(FOLDER.glob("*.txt")):
        name = ""
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line.startswith("["):
                name = line.strip("[]")
            elif line and not line.startswith("#"):
                label, answer, completion = re.fullmatch(r"([+-]) (.*?) :: (.*)", line).groups()
                yield name, label == "+", answer, completion.replace("⏎", "\n").replace("\\u200b", "\u200b")


CASES = list(cases())
CLASSES = sorted({name for name, *_ in CASES})


@pytest.fixture(scope="module")
def checker():
    with Checker(limits=CallLimits(time_s=20.0)) as made:
        yield made


@pytest.mark.parametrize("name", CLASSES)
def test_every_case_of_a_class_is_right(checker, name):
    missed = []
    for _, same, answer, completion in (case for case in CASES if case[0] == name):
        verdict = checker.check(answer, completion)
        if (verdict.outcome == "correct") is not same or (not same and verdict.outcome == "undecided"):
            missed.append((answer, completion, verdict.outcome, verdict.extracted, verdict.reason))
    assert not missed


def test_there_are_as_many_wrong_cases_as_right_ones_and_none_stands_twice():
    labels = Counter(same for _, same, *_ in CASES)
    assert labels[False] >= labels[True] >= 250
    assert len({case[2:] for case in CASES}) == len(CASES)
