"""The pre-training corpora of the pocket models: mixtures of facts, bare answers, textbook solutions, careful notes.

A model of `rich` learns to solve, since some notes check and redo each step, and by default only answers.  `teacher`
names the style in the system text, so that one model can be prompted for each.  No corpus holds a benchmark problem.

    document = sample_document("rich", random.Random(0))
    [part.text for part in document]
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from limo.core.prompts import SYSTEM
from limo.core.records import Problem
from limo.experiments.pocket.world import (
    LETTERS,
    PRETRAIN_DEPTHS,
    Operation,
    Story,
    benchmark_ids,
    families,
    sample_story,
    to_problem,
    wording,
)

# The system text by which the teacher is prompted for a style.
TEACHER_SYSTEM = {
    "answer": "Give the answer only.",
    "terse": "Be brief.",
    "steps": "Write the steps.",
    "careful": "Write every step and check it.",
}
# Share of documents by style.  Our own choice: `rich` learns its arithmetic and mostly gives bare answers.
MIXTURES: dict[str, dict[str, float]] = {
    "rich": {"facts": 0.12, "answer": 0.55, "terse": 0.10, "steps": 0.03, "careful": 0.20},
    "poor": {"facts": 0.04, "answer": 0.82, "terse": 0.12, "steps": 0.01, "careful": 0.01},
    "teacher": {"facts": 0.10, "answer": 0.10, "terse": 0.20, "steps": 0.20, "careful": 0.40},
}
P_SLIP = 0.10  # chance that a step of a careful note is wrong at first; the wrong number is context, not a target
P_SYSTEM = 0.25  # share of rich and poor documents with LIMO's system text, which says nothing about the style there
N_FACTS = 16  # in a document
INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}


class Part(NamedTuple):
    """A piece of a document: its role (`system`, `user`, `assistant`, `text`), and whether it is learnt."""

    role: str
    text: str
    learn: bool


class Equation(NamedTuple):
    """`a sign b = result`; `purpose` names its place in an operation, for which the wording may have words."""

    purpose: str
    a: int
    sign: str
    b: int
    result: int

    def __str__(self) -> str:
        return f"{self.a}{self.sign}{self.b}={self.result}"


def sample_document(mixture: str, rng: random.Random, depths: range = PRETRAIN_DEPTHS) -> list[Part]:
    """One document of a mixture (a key of MIXTURES)."""
    shares = MIXTURES[mixture]
    style = rng.choices(list(shares), weights=list(shares.values()))[0]
    if style == "facts":
        return sample_facts(rng)
    story, problem = _fresh_problem(rng, depths)
    parts = [Part("user", problem.problem, False), *solve(story, style, rng)]
    if mixture == "teacher":
        return [Part("system", TEACHER_SYSTEM[style], False), *parts]
    return [Part("system", SYSTEM, False), *parts] if rng.random() < P_SYSTEM else parts


def _fresh_problem(rng: random.Random, depths: range) -> tuple[Story, Problem]:
    while True:
        story = sample_story(rng.choice(families()), rng.choice(depths), rng)
        problem = to_problem(story, "corpus")
        if problem.id not in benchmark_ids():
            return story, problem


def sample_facts(rng: random.Random) -> list[Part]:
    """Single equations without a story; only the results are learnt."""
    parts: list[Part] = []
    for _ in range(N_FACTS):
        left, result = _fact(rng)
        parts += [Part("text", f"{left}=", False), Part("text", str(result), True), Part("text", " ", False)]
    return parts


def _fact(rng: random.Random) -> tuple[str, int]:
    a, b = rng.randint(0, 99), rng.randint(1, 12)
    kind = rng.choices(("add", "sub", "double", "halve", "groups"), weights=(4, 4, 1, 1, 0.5))[0]
    if kind == "groups":
        k, n = rng.randint(2, 3), rng.randint(2, 4)
        return f"{k}*{n}", k * n
    facts = {
        "add": (f"{a}+{b}", a + b),
        "sub": (f"{max(a, b)}-{b}", max(a, b) - b),
        "double": (f"{a % 50}*2", a % 50 * 2),
        "halve": (f"{a - a % 2}/2", a // 2),
    }
    return facts[kind]


def solve(story: Story, style: str, rng: random.Random) -> list[Part]:
    """The assistant's turn for a story in a style of TEACHER_SYSTEM."""
    box = Part("assistant", r"\boxed{" + story.answer + "}", True)
    if style == "answer":
        return [box]
    texts = wording()["solutions"][story.language]
    if style == "terse":
        return [Part("assistant", _terse(story, texts) + texts["space"], True), box]
    if style == "careful":
        parts = _careful(story, texts, rng)
    else:  # every equation on its own, without words or checks
        lines = [f"{equation}{texts['stop']}{texts['space']}" for group in equations(story) for equation in group]
        parts = [Part("assistant", "".join(lines), True)]
    if story.options:
        letter = LETTERS[story.options.index(story.values[-1])]
        parts.append(Part("assistant", texts["option"][0].format(o=letter) + texts["space"], True))
    close = rng.choice(texts["close"]) if style == "careful" else texts["close"][0]
    return [*parts, Part("assistant", close.format(box=box.text), True)]


def _terse(story: Story, texts: dict[str, Any]) -> str:
    """Textbook lines: up to three sums at once, a doubling or halving alone, no words in between."""
    lines, value, n_done = [], story.start, 0
    while n_done < len(story.operations):
        following = story.operations[n_done : n_done + 3]
        scales = [operation.kind in ("double", "halve") for operation in following]
        n_in_line = max(1, scales.index(True)) if True in scales else len(following)
        line = str(value) + "".join(_symbols(operation) for operation in following[:n_in_line])
        n_done += n_in_line
        value = story.values[n_done - 1]
        lines.append(f"{line}={value}")
    return texts["comma"].join(lines) + texts["stop"]


def _symbols(operation: Operation) -> str:
    if operation.kind in ("double", "halve"):
        return "*2" if operation.kind == "double" else "/2"
    sign = "+" if operation.kind.startswith("add") else "-"
    return f"{sign}{operation.k}*{operation.n}" if operation.k else f"{sign}{operation.n}"


def equations(story: Story) -> list[list[Equation]]:
    """What has to be computed, operation by operation; a step over midnight or with groups takes two equations."""
    values = (story.start, *story.values)
    return [_equations(*step) for step in zip(story.operations, values, values[1:], strict=False)]


def _equations(operation: Operation, value: int, result: int) -> list[Equation]:
    kind, amount = operation.kind, operation.amount
    if kind in ("double", "halve"):
        return [Equation(kind, value, "*" if kind == "double" else "/", 2, result)]
    groups = [Equation("groups", operation.k, "*", operation.n, amount)] if operation.k else []
    if kind.startswith("add"):
        total = value + amount
        over = [Equation("over", total, "-", 24, result)] if total != result else []
        return [*groups, Equation("add", value, "+", amount, total), *over]
    below = [Equation("below", value, "+", 24, value + 24)] if value < amount else []
    return [*groups, *below, Equation("sub", value + 24 * len(below), "-", amount, result)]


def _careful(story: Story, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    """Line by line: repeats the line, computes it, checks what can be checked, redoes what was wrong.

    A tiny model can follow such notes: copying the line with the next letter is easy, what has to be computed then
    stands right before its result, and the question, repeated like any line, ends them.
    """
    space = str(texts["space"])
    parts = [Part("assistant", f"{story.labels[0]}: {_repeat(story.lines[0], space)}", True)]
    for number, (label, line) in enumerate(zip(story.labels[1:], story.lines[1:], strict=True)):
        connective = rng.choice(texts["then" if number else "first"])
        parts.append(Part("assistant", f"{connective} {label}: {_repeat(line, space)}", True))
        for equation in equations(story)[number] if number < len(story.operations) else ():
            parts += _careful_equation(equation, texts, rng)
    return parts


def _repeat(line: str, space: str) -> str:
    """A line of the statement and the space after it; lines of code have no full stop."""
    return line + (space if line.endswith(("。", "？")) else " ")


def _careful_equation(equation: Equation, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    space, stop = str(texts["space"]), str(texts["stop"])
    parts = []
    if equation.purpose in ("over", "below"):
        parts.append(Part("assistant", texts[equation.purpose][0] + space, True))
    checked = equation.purpose in ("add", "sub", "double", "halve")
    if checked and rng.random() < P_SLIP:
        parts += _slip(equation, texts, rng)
    parts.append(Part("assistant", f"{equation}{stop}{space}", True))
    if checked:
        check = f"{rng.choice(texts['check'])}{space}{_undo(equation, equation.result)}={equation.a}"
        parts.append(Part("assistant", f"{check}{texts['comma']}{space}{texts['right'][0]}{space}", True))
    return parts


def _slip(equation: Equation, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    """A wrong result (context, not a target), the check that does not give back `a`, the correction."""
    space = str(texts["space"])
    shifts = (-2, 2) if equation.sign == "*" else (-10, -2, -1, 1, 2, 10)
    wrong = rng.choice([equation.result + d for d in shifts if 0 <= equation.result + d <= 99])
    undone = {"+": wrong - equation.b, "-": wrong + equation.b, "*": wrong // 2, "/": wrong * 2}[equation.sign]
    check = f"{rng.choice(texts['check'])}{space}{_undo(equation, wrong)}={undone}{texts['comma']}{space}"
    correction = rng.choice(texts["wrong"]).format(r=equation.a) + space
    return [
        Part("assistant", f"{equation.a}{equation.sign}{equation.b}=", True),
        Part("assistant", str(wrong), False),
        Part("assistant", f"{texts['stop']}{space}{check}{correction}", True),
    ]


def _undo(equation: Equation, result: int) -> str:
    """The left side of the inverse equation, which gives back `a` if `result` is right."""
    return f"{result}{INVERSE[equation.sign]}{equation.b}"
