"""The pre-training corpora of the pocket models: facts, blurted answers, textbook solutions, careful notes.

A corpus is a mixture of document styles.  In `rich` most solved problems are only blurted, a few are careful notes in
which each step is checked and slips are found and redone: the knowledge is there, the default is to blurt.  `poor`
holds few facts and hardly any notes.  `teacher` names its style in the system text, so that one model can be asked
for each.  Benchmark problems are never in a corpus.

    rng = random.Random(0)
    document = sample_document("rich", rng)
    [part.text for part in document]

What it does not do: chains for fine-tuning.  Those are sampled from the teacher and verified.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from limo.core.prompts import SYSTEM
from limo.core.records import Problem
from limo.experiments.pocket.world import (
    LETTERS,
    PRETRAIN_DEPTHS,
    Op,
    Story,
    benchmark_ids,
    families,
    sample_story,
    to_problem,
    wording,
)

STYLES = ("answer", "terse", "steps", "careful")
TEACHER_SYSTEM = {
    "answer": "Give the answer only.",
    "terse": "Be brief.",
    "steps": "Write the steps.",
    "careful": "Write every step and check it.",
}
"""The system text by which the teacher is asked for a style."""

MIXTURES: dict[str, dict[str, float]] = {
    "rich": {"facts": 0.12, "answer": 0.55, "terse": 0.10, "steps": 0.03, "careful": 0.20},
    "poor": {"facts": 0.04, "answer": 0.82, "terse": 0.12, "steps": 0.01, "careful": 0.01},
    "teacher": {"facts": 0.10, "answer": 0.10, "terse": 0.20, "steps": 0.20, "careful": 0.40},
}
"""Share of documents by style.  Our own choice: `rich` knows its arithmetic and mostly blurts."""

SLIP = 0.10
"""Chance that a step of a careful note goes wrong first.  The wrong number is context, not a target."""
P_SYSTEM = 0.25
"""Share of rich and poor documents that carry LIMO's system text, which there says nothing about the style."""
N_FACTS = 16


INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}


class Part(NamedTuple):
    """A piece of a document: its role (`system`, `user`, `assistant`, `text`) and whether it is learnt."""

    role: str
    text: str
    learn: bool


class Equation(NamedTuple):
    """`a sign b = result`; `heading` says what it is for, and the wording has words for those that need them."""

    heading: str
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
    """Single equations with no story; only what stands after each equals sign is learnt."""
    parts: list[Part] = []
    for _ in range(N_FACTS):
        left, result = _fact(rng)
        parts += [Part("text", f"{left}=", False), Part("text", str(result), True), Part("text", " ", False)]
    return parts


def _fact(rng: random.Random) -> tuple[str, int]:
    a, b = rng.randint(0, 99), rng.randint(1, 12)
    match rng.choices(("add", "sub", "double", "halve", "groups"), weights=(4, 4, 1, 1, 0.5))[0]:
        case "add":
            return f"{a}+{b}", a + b
        case "sub":
            return f"{max(a, b)}-{b}", max(a, b) - b
        case "double":
            return f"{a % 50}*2", a % 50 * 2
        case "halve":
            return f"{a - a % 2}/2", a // 2
        case _:
            k, n = rng.randint(2, 3), rng.randint(2, 4)
            return f"{k}*{n}", k * n


def solve(story: Story, style: str, rng: random.Random) -> list[Part]:
    """The assistant's turn for a story in one of STYLES."""
    box = Part("assistant", r"\boxed{" + story.answer + "}", True)
    if style == "answer":
        return [box]
    texts = wording()["solutions"][story.language]
    if style == "terse":
        return [Part("assistant", _terse(story, texts) + texts["space"], True), box]
    parts = _careful(story, texts, rng) if style == "careful" else _steps(story, texts)
    if story.options:
        letter = LETTERS[story.options.index(story.values[-1])]
        parts.append(Part("assistant", texts["option"][0].format(o=letter) + texts["space"], True))
    close = rng.choice(texts["close"]) if style == "careful" else texts["close"][0]
    return [*parts, Part("assistant", close.format(box=box.text), True)]


def _terse(story: Story, texts: dict[str, Any]) -> str:
    """Textbook lines: up to three operations at once, nothing said in between."""
    lines, value, place = [], story.start, 0
    while place < len(story.ops):
        line, taken = str(value), 0
        for op in story.ops[place : place + 3]:
            if op.kind in ("double", "halve") and taken:
                break
            line += _symbols(op)
            taken += 1
            if op.kind in ("double", "halve"):
                break
        place += taken
        value = story.values[place - 1]
        lines.append(f"{line}={value}")
    return texts["comma"].join(lines) + texts["stop"]


def _symbols(op: Op) -> str:
    match op.kind:
        case "double":
            return "*2"
        case "halve":
            return "/2"
        case kind:
            sign = "+" if kind.startswith("add") else "-"
            return f"{sign}{op.k}*{op.n}" if op.k else f"{sign}{op.n}"


def equations(story: Story) -> list[list[Equation]]:
    """What has to be computed, operation by operation; a step over midnight or with groups takes two equations."""
    values = (story.start, *story.values)
    return [_equations(op, value, result) for op, value, result in zip(story.ops, values, values[1:], strict=False)]


def _equations(op: Op, value: int, result: int) -> list[Equation]:
    if op.kind in ("double", "halve"):
        return [Equation(op.kind, value, "*" if op.kind == "double" else "/", 2, result)]
    groups = [Equation("groups", op.k, "*", op.n, op.amount)] if op.k else []
    if op.kind.startswith("add"):
        total = value + op.amount
        over = [Equation("over", total, "-", 24, result)] if total != result else []
        return [*groups, Equation("add", value, "+", op.amount, total), *over]
    if value < op.amount:
        lifted = value + 24
        return [*groups, Equation("below", value, "+", 24, lifted), Equation("sub", lifted, "-", op.amount, result)]
    return [*groups, Equation("sub", value, "-", op.amount, result)]


def _steps(story: Story, texts: dict[str, Any]) -> list[Part]:
    """Every equation on its own, nothing said, nothing checked."""
    lines = [f"{equation}{texts['stop']}{texts['space']}" for group in equations(story) for equation in group]
    return [Part("assistant", "".join(lines), True)]


def _careful(story: Story, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    """Line by line: says the line again, does what it says, checks what can be checked, redoes what slipped.

    Saying a line again is what makes notes work for a tiny model: to copy the line with the next letter is easy, and
    what has to be done then stands right before the place where it is done.  So the notes also end in time: the
    question is said again before it is known to be one.
    """
    gap = str(texts["space"])
    parts = [Part("assistant", f"{story.labels[0]}: {_said(story.lines[0], gap)}", True)]
    for number, (label, line) in enumerate(zip(story.labels[1:], story.lines[1:], strict=True)):
        connective = rng.choice(texts["then" if number else "first"])
        parts.append(Part("assistant", f"{connective} {label}: {_said(line, gap)}", True))
        for equation in equations(story)[number] if number < len(story.ops) else ():
            parts += _careful_equation(equation, texts, rng)
    return parts


def _said(line: str, gap: str) -> str:
    """A line of the statement and what parts it from the next words; bare code has no full stop of its own."""
    return line + (gap if line.endswith(("。", "？")) else " ")


def _careful_equation(equation: Equation, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    gap, stop = str(texts["space"]), str(texts["stop"])
    parts = [Part("assistant", texts[equation.heading][0] + gap, True)] if equation.heading in ("over", "below") else []
    checked = equation.heading in ("add", "sub", "double", "halve")
    if checked and rng.random() < SLIP:
        parts += _slip(equation, texts, rng)
    parts.append(Part("assistant", f"{equation}{stop}{gap}", True))
    if checked:
        check = f"{rng.choice(texts['check'])}{gap}{_undo(equation, equation.result)}={equation.a}"
        parts.append(Part("assistant", f"{check}{texts['comma']}{gap}{texts['right'][0]}{gap}", True))
    return parts


def _slip(equation: Equation, texts: dict[str, Any], rng: random.Random) -> list[Part]:
    """A wrong result (context, not a target), the check that does not give back `a`, the turn."""
    gap = str(texts["space"])
    shifts = (-2, 2) if equation.sign == "*" else (-10, -2, -1, 1, 2, 10)
    wrong = rng.choice([equation.result + d for d in shifts if 0 <= equation.result + d <= 99])
    found = {"+": wrong - equation.b, "-": wrong + equation.b, "*": wrong // 2, "/": wrong * 2}[equation.sign]
    check = f"{rng.choice(texts['check'])}{gap}{_undo(equation, wrong)}={found}{texts['comma']}{gap}"
    turn = rng.choice(texts["wrong"]).format(r=equation.a) + gap
    return [
        Part("assistant", f"{equation.a}{equation.sign}{equation.b}=", True),
        Part("assistant", str(wrong), False),
        Part("assistant", f"{texts['stop']}{gap}{check}{turn}", True),
    ]


def _undo(equation: Equation, result: int) -> str:
    """The left side of the inverse: what must give back `a` if `result` is right."""
    return f"{result}{INVERSE[equation.sign]}{equation.b}"
