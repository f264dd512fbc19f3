"""On real answers and labels, where the shared data is: accepted as themselves, near misses refused."""

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from limo.verify.audit import audit_file
from limo.verify.checker import Checker, as_text

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside the project")


def golds():
    """Every answer of the benchmarks."""
    for path in sorted((DATA / "benchmarks").glob("*.jsonl*")):
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
        for line in text.split("\n"):
            if line:
                yield as_text(json.loads(line)["answer"])


def rewritings(gold):
    """The answer itself, boxed inside a sentence, after a thought, and as others would write it."""
    bare = gold.strip().strip("$") if gold.count("$") <= 2 else gold
    yield gold
    yield f"So the answer is $\\boxed{{{bare}}}$. I am sure."
    yield f"<think>perhaps \\boxed{{-12345}}</think>\n\\[\n\\boxed{{{bare}}}\n\\]"
    yield "\\boxed{" + bare.replace("\\frac", "\\dfrac") + "}"
    if match := re.fullmatch(r"(-?[\d.]+)e(-?\d+)", bare):
        yield f"\\boxed{{{match[1]} \\times 10^{{{match[2]}}} \\text{{ m/s}}}}"
    if re.fullmatch(r"-?\d+", bare):
        n = int(bare)
        yield from (f"\\boxed{{{form}}}" for form in (f"{n}.0", f"{n:,}", f"x = {n}", f"{n}.", f"{n}\\text{{ cm}}"))
    if match := re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", bare):
        yield f"\\boxed{{{match[1]}{match[2]}/{match[3]}}}"
        yield f"\\boxed{{{match[1]}\\frac{{{3 * int(match[2])}}}{{{3 * int(match[3])}}}}}"


def near_misses(gold, draw):
    """Sign, digit, a hundredfold, ends swapped, a root dropped, another letter."""
    bare = gold.strip().strip("$")
    if re.fullmatch(r"-?\d+(\.\d+)?", bare) and float(bare):
        value = float(bare)
        yield bare[1:] if bare[0] == "-" else "-" + bare
        yield from (repr(value * 100), repr(value / 100), repr(value * 10), repr(value + 1), repr(value + 0.0001))
    digits = [m.start() for m in re.finditer(r"(?<![_\d])(?<!_\{)\d", bare)]
    for at in draw.sample(digits, min(3, len(digits))):
        yield bare[:at] + str((int(bare[at]) + draw.randint(1, 9)) % 10) + bare[at + 1 :]
    ends = re.fullmatch(r"([(\[])\s*([^()\[\],]+),([^()\[\],]+?)\s*([)\]])", bare)
    if ends and ends[2].strip() != ends[3].strip() and "0.5" not in bare:
        yield f"{ends[1]}{ends[3]},{ends[2]}{ends[4]}"
    if re.search(r"\d, ?-?\d", bare) and not re.fullmatch(r"[\d,\\!\s]+", bare) and "(" not in bare and "{" not in bare:
        yield bare.rpartition(",")[0]
    if re.fullmatch(r"[A-E]", bare):
        yield from (chr(65 + (ord(bare) - 64) % 5), bare + "," + chr(65 + (ord(bare) - 64) % 5))
    if "\\sqrt" in bare:
        yield bare.replace("\\sqrt", "", 1)


@pytest.mark.slow
def test_every_answer_is_accepted_as_itself_and_in_its_common_rewritings():
    asked = [(gold, text) for gold in golds() for text in rewritings(gold)]
    assert len(asked) > 10_000
    with Checker() as checker:
        missed = [(gold, text[-80:]) for gold, text in asked if checker.check(gold, text).outcome != "correct"]
    assert not missed


@pytest.mark.slow
def test_as_many_near_misses_are_all_refused():
    draw, n, accepted = random.Random(3), 0, []
    with Checker() as checker:
        for gold in golds():
            for text in near_misses(gold, draw):
                n += 1
                if checker.check(gold, f"\\boxed{{{text}}}").outcome == "correct":
                    accepted.append((gold, text))
    assert n > 8000
    assert not accepted


def test_the_labelled_cases_are_right_but_for_a_listed_few():
    audit = audit_file(DATA / "pairs" / "verifier_cases_dev.jsonl")
    assert audit.ours.n == 435
    assert audit.ours.accuracy >= 0.99
    assert len(audit.ours.false_accepts) <= 1
