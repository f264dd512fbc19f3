"""A labelled pool of any size, made from real problems: what is the same, what only looks it, and what was planted.

Every row says which distinct problem it is (`truth`) and how it was made (`kind`).  Copies keep the answer and change
the typography or the wording; variants change the mathematics (other numbers, a swapped operator, a lost sign) and so
are other problems.  Benchmark problems are planted in six disguises.  Everything is drawn from one seed.

    made = world(Path("../shared/data"), n_rows=100_000, seed=1)
    planted = plant({"MATH500": problems}, seed=1)

What it does not do: paraphrase as a language model would; real paraphrases are in `pairs/benbench_*`.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo.core.records import Problem
from limo.pool.ingest import stream

COPIES = ("white space", "latex", "unicode", "re-wrapped", "reworded", "wrapped", "respelled")
VARIANTS = ("renumbered", "swapped operator", "lost sign")
DISGUISES = ("exact", "re-wrapped", "embedded", "reworded", "renumbered", "full width")
_NUMBER = re.compile(r"(?<![\w\\^_.])\d+(?:\.\d+)?(?![\w.]*\d)")
_LATEX = [
    (r"\frac", r"\dfrac"), (r"\le ", r"\leq "), (r"\ge ", r"\geq "), (r"\ldots", r"\dots"), (r"\mathrm{", r"\text{"),
    (r"\text{", r"\mathrm{"), ("(", r"\left("), (")", r"\right)"), ("$", " $ "), (r"\cdot", r"\cdot "), ("^2", "^{2}"),
]  # fmt: skip
_UNICODE = [
    ("-", "−"), (r"\times ", "×"), (r"\le ", "≤"), (r"\ge ", "≥"), (r"\pi ", "π"), ("'", "’"), ("^2", "²"), ("^3", "³"),
    (r"\neq ", "≠"), (r"\cdot ", "·"), (" ", "\u00a0"), ("0", "０"), ("1", "１"), ("2", "２"), ("(", "（"), (")", "）"),
]  # fmt: skip
_WORDS = [
    ("How many", "What number of"), ("Find", "Determine"), ("Compute", "Calculate"), ("Determine", "Find"),
    ("find", "determine"), ("What is the value of", "Give the value of"), ("What is", "Give"), ("each", "every"),
    ("buys", "purchases"), ("bought", "purchased"), ("costs", "is priced at"), ("total", "whole"), ("gives", "hands"),
    ("such that", "so that"), ("Suppose", "Assume"), ("Let", "Suppose"), ("there are", "we have"), ("also", "too"),
    ("makes", "produces"), ("needs", "requires"), ("begin", "start"), ("contains", "holds"), ("pays", "spends"),
    ("big", "large"), ("people", "persons"), ("kids", "children"), ("wants to", "would like to"), ("if", "given that"),
    ("distinct", "different"), ("satisfying", "that satisfy"), ("equal to", "the same as"), ("smallest", "least"),
    ("largest", "greatest"), ("positive integers", "natural numbers"), ("Evaluate", "Work out"), ("Simplify", "Reduce"),
    ("请问", ""), ("求", "试求"), ("多少", "几多"), ("那么", "则"), ("已知", "设"), ("一共", "总共"),
]  # fmt: skip
_SWAPS = [
    ("+", "-"), ("-", "+"), ("<", ">"), (">", "<"), (r"\le ", r"\ge "), (r"\ge ", r"\le "), (r"\times", "+"),
    ("more than", "less than"), ("sum", "product"), ("product", "sum"), ("twice", "three times"), ("half", "a third"),
    ("minimum", "maximum"), ("maximum", "minimum"), ("smallest", "largest"), ("least", "greatest"), ("even", "odd"),
    ("odd", "even"), ("increase", "decrease"), ("最大", "最小"), ("最小", "最大"),
]  # fmt: skip
_FILLER = (
    "Read the following carefully before you answer, and show every step of your work. ",
    "Below is a task from an old collection; the pupils had an hour. ",
    "下面是一道题目，请仔细阅读后作答。",
)
_TAIL = (" Give the final result only.", " Explain your reasoning in full sentences.", " 请写出完整过程。")


_WRAPPERS = [  # what real pools put around a statement
    "Question: {}", "Problem: {}", "Q{n}. {}", "({n}) {}", "**Question {n}**\n{}", "### Problem\n{}", "[{n} points] {}",
    "{}\n\nAnswer:", "{} Answer: ____", "{}\nSolution:", "User: {}\nAssistant:", "(AIME 20{n}) {}", "第{n}题：{}",
    "{n}．{}", "(本小题满分{n}分) {}", "（20{n}·全国卷）{}", "【20{n}年竞赛】{}", "<p>{}</p>", "题目：{}",
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.\n\n{}\n\nRemember to put your answer on its "
    'own line after "Answer:".',
    "{}\nPlease reason step by step, and put your final answer within \\boxed{{}}.",
]  # fmt: skip
_SPELLINGS = [
    (r"\cdot ", r"\times "), ("<", "&lt;"), (">", "&gt;"), (r"\%", " percent"), ("%", " percent"), (r"\sqrt{2}", "√2"),
    (r"\alpha", "α"), (r"\pm", "±"), ("国", "國"), ("个", "個"), ("数", "數"), ("为", "為"),
]  # fmt: skip
_STORED = ("problem", "answer", "solution", "source", "topic")


@dataclass(frozen=True, slots=True)
class Made:
    """One row of the world: the problem, which distinct problem it is, how it was made, and from which base row."""

    problem: Problem
    truth: int
    kind: str
    base: int


def world(folder: Path, n_rows: int, seed: int, file: Path | None = None) -> list[Made]:
    """A labelled pool from the real pools of a folder; kept in `file`, a Parquet file, and read from it if it is there.

    Raises ValueError where the file holds another pool.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file is not None and file.exists():
        table = pq.read_table(file)
        if table.num_rows != n_rows or table.schema.metadata[b"seed"] != str(seed).encode():
            raise ValueError(f"{file} holds another pool: remove it, or ask for the same rows and seed")
        columns = [table.column(name).to_pylist() for name in (*_STORED, "truth", "kind", "base")]
        return [Made(_problem(*row[:5]), *row[5:]) for row in zip(*columns, strict=True)]
    made = make(bases(folder), n_rows, seed)
    if file is not None:
        stored = {name: [getattr(one.problem, name) for one in made] for name in _STORED}
        labels = {name: [getattr(one, name) for one in made] for name in ("truth", "kind", "base")}
        pq.write_table(pa.table(stored | labels).replace_schema_metadata({"seed": str(seed)}), file, compression="zstd")
    return made


def _problem(problem: str, answer: str, solution: str, source: str, topic: str) -> Problem:
    return Problem.make(problem, answer, solution=solution, source=source, topic=topic)


def bases(folder: Path) -> list[Problem]:
    """Real problems, distinct by letters, digits and signs, without those that are known to match a benchmark row."""
    with gzip.open(folder / "pairs" / "benchmark_vs_pool.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
        known = {(pair["pool"], pair["pool_row"]) for pair in map(json.loads, lines)}
    found: dict[str, Problem] = {}
    for path in sorted((folder / "pools").iterdir()):
        name = path.name.removesuffix(".jsonl.gz")
        for row, item in enumerate(stream([path])):
            if isinstance(item, Problem) and (name, row) not in known:
                found.setdefault(key(item.problem), item)
    return list(found.values())


def make(bases: Sequence[Problem], n_rows: int, seed: int, share: float = 0.253) -> list[Made]:
    """`n_rows` rows in random order; a `share` of them are copies of others.  Bases should be distinct problems."""
    rng = random.Random(seed)
    made = [Made(base, place, "original", place) for place, base in enumerate(bases[:n_rows])]
    seen = {key(one.problem.problem) for one in made}
    n_distinct, n_tries = int(n_rows * (1 - share)), 0
    while len(made) < n_distinct and n_tries < 50 * n_rows:
        n_tries += 1
        place = rng.randrange(len(bases))
        kind = rng.choices(VARIANTS, (90, 6, 4))[0]
        text = _CHANGES[kind](bases[place].problem, rng)
        if key(text) not in seen:
            seen.add(key(text))
            answer = bases[place].answer if rng.random() < 0.05 else _other_answer(bases[place].answer, rng)
            made.append(Made(_with(bases[place], text, answer), len(made), kind, place))
    distinct = len(made)
    while len(made) < n_rows:
        one, kind = made[rng.randrange(distinct)], rng.choice(COPIES)
        text = _CHANGES[kind](one.problem.problem, rng)
        if text != one.problem.problem:
            made.append(Made(_with(one.problem, text, one.problem.answer), one.truth, kind, one.base))
    rng.shuffle(made)
    return made


def plant(benchmarks: Mapping[str, Iterable[Problem]], seed: int) -> list[tuple[str, Problem]]:
    """Every benchmark problem once in each disguise, where the disguise changes it: (disguise, row)."""
    rng = random.Random(seed)
    rows = []
    for problems in benchmarks.values():
        for problem in problems:
            for disguise in DISGUISES:
                text = problem.problem if disguise == "exact" else _CHANGES[disguise](problem.problem, rng)
                if disguise == "exact" or text != problem.problem:
                    rows.append((disguise, Problem.make(text, "", source="planted")))
    return rows


def key(text: str) -> str:
    """Letters, digits and signs only: what no typography of this module changes, and every variant does."""
    return re.sub(r"[^\w+\-*/=<>^!%|\\]", "", text).lower()


def _with(base: Problem, text: str, answer: str) -> Problem:
    return Problem.make(text, answer, solution=base.solution, source=base.source, topic=base.topic)


def _other_answer(answer: str, rng: random.Random) -> str:
    if re.fullmatch(r"-?\d+", answer):
        return str(int(answer) + rng.choice((-1, 1)) * rng.randint(1, 97))
    return f"{answer}+{rng.randint(2, 97)}"


def _renumbered(text: str, rng: random.Random) -> str:
    def other(match: re.Match[str]) -> str:
        digits = match[0]
        return re.sub(r"\d", lambda _: str(rng.randint(1, 9)), digits)

    return _NUMBER.sub(other, text)


def _some(text: str, pairs: list[tuple[str, str]], rng: random.Random, most: int) -> str:
    """One to `most` of the replacements that apply, words only as whole words."""
    fits = [(old, new) for old, new in pairs if _pattern(old).search(text)]
    for old, new in rng.sample(fits, min(len(fits), rng.randint(1, most))):
        text = _pattern(old).sub(lambda _, new=new: new, text)
    return text


def _pattern(old: str) -> re.Pattern[str]:
    word = re.escape(old)
    return re.compile(rf"(?<![A-Za-z\\]){word}(?![A-Za-z])" if old[0].isalpha() and old.isascii() else word)


def _swapped(text: str, rng: random.Random) -> str:
    fits = [(old, new) for old, new in _SWAPS if old in text]
    if not fits:
        return text
    old, new = rng.choice(fits)
    places = [match.start() for match in re.finditer(re.escape(old), text)]
    place = rng.choice(places)
    return text[:place] + new + text[place + len(old) :]


def _sign_lost(text: str, rng: random.Random) -> str:
    places = [match.start() for match in re.finditer(r"(?<![A-Za-z])-(?![A-Za-z]{3})|\^", text)]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + text[place + 1 :]


def _spaced(text: str, rng: random.Random) -> str:
    return "".join(char + rng.choice(("", " ", "\n", "\t")) if char == " " else char for char in text) + "\n"


def _latexed(text: str, rng: random.Random) -> str:
    for old, new in rng.sample(_LATEX, 5):
        text = text.replace(old, new)
    return text.replace("$", r"\(", 1).replace("$", r"\)", 1) if text.count("$") == 2 and rng.random() < 0.5 else text


def _unicoded(text: str, rng: random.Random) -> str:
    for old, new in rng.sample(_UNICODE, 5):
        text = text.replace(old, new)
    return text


def _rewrapped(text: str, rng: random.Random) -> str:
    width, words, lines, line = rng.randint(30, 80), text.split(" "), [], ""
    for word in words:
        if len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    head = rng.choice(("", "", f"Problem {rng.randint(1, 99)}. ", f"{rng.randint(1, 30)}. "))
    return head + "\n".join([*lines, line]) + rng.choice(("", "", f" ({rng.randint(2, 20)} points)"))


def _reworded(text: str, rng: random.Random) -> str:
    return _some(text, _WORDS, rng, 3)


def _wrapped(text: str, rng: random.Random) -> str:
    return rng.choice(_WRAPPERS).format(text, n=rng.randint(10, 25))


def _respelled(text: str, rng: random.Random) -> str:
    fits = [(old, new) for old, new in _SPELLINGS if old in text]
    for old, new in rng.sample(fits, min(len(fits), rng.randint(1, 4))):
        text = text.replace(old, new)
    return text


def _embedded(text: str, rng: random.Random) -> str:
    return rng.choice(_FILLER) + text + rng.choice(_TAIL)


def _full_width(text: str, _: random.Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if char.isalnum() and char.isascii() else char for char in text)


_CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "white space": _spaced, "latex": _latexed, "unicode": _unicoded, "re-wrapped": _rewrapped, "reworded": _reworded,
    "wrapped": _wrapped, "respelled": _respelled,
    "renumbered": _renumbered, "swapped operator": _swapped, "lost sign": _sign_lost, "embedded": _embedded,
    "full width": _full_width,
}  # fmt: skip
