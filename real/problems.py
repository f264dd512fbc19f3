"""Problems of one step with one-digit numbers: a pool that a model of 135 million parameters can partly solve.

A first pool, of 60 problems of up to two steps with numbers to 20, gave 12 correct rollouts of 226 and 5 chains; it was
replaced by this one before any score was known.

write(Path("runs/real/data"))      # pool.jsonl and the benchmarks seen.jsonl, unseen.jsonl
"""

from __future__ import annotations

import json
import random
from pathlib import Path

NAMES = ["Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gail", "Hugo", "Ida", "Jack", "Kim", "Leo", "Mia", "Ned", "Olga"]
THINGS = ["apples", "pens", "coins", "cards", "shells", "stamps", "marbles", "books", "nuts", "beads"]
SEEN = (  # text, answer; a, b, c are small numbers, s = a + b
    ("{n} has {a} {t} and finds {b} more. How many {t} does {n} have now?", "a + b"),
    ("A box holds {b} {t}. How many {t} are in {c} boxes?", "b * c"),
    ("What is {a} + {b}?", "a + b"),
    ("{n} has {a} {t} and buys {b} more. How many {t} has {n}?", "a + b"),
    ("What is {b} x {c}?", "b * c"),
    ("What is {s} - {b}?", "a"),
)
UNSEEN = (
    ("{n} is {a} years old. How old will {n} be in {b} years?", "a + b"),
    ("A bus with {s} people stops and {b} get off. How many people are on the bus?", "a"),
    ("One ticket costs {b} dollars. What do {c} tickets cost in dollars?", "b * c"),
    ("A rope of {s} metres is cut and {b} metres are taken away. How many metres remain?", "a"),
)


def draw(kinds: tuple[tuple[str, str], ...], n: int, seed: int, exclude: set[str]) -> list[dict[str, str]]:
    """`n` different problems, the kinds in turn; none that stands in `exclude`."""
    rng, rows, seen = random.Random(seed), list[dict[str, str]](), set(exclude)
    while len(rows) < n:
        text, answer = kinds[len(rows) % len(kinds)]
        numbers = {"a": rng.randint(2, 9), "b": rng.randint(2, 9), "c": rng.randint(2, 4)}
        numbers["s"] = numbers["a"] + numbers["b"]
        statement = text.format(n=rng.choice(NAMES), t=rng.choice(THINGS), **numbers)
        if statement not in seen:
            seen.add(statement)
            rows.append({"problem": statement, "answer": str(eval(answer, {}, numbers)), "source": "real/problems.py"})
    return rows


def write(folder: Path, n_pool: int = 32, n_benchmark: int = 20) -> None:
    """Write pool and benchmarks as JSON lines; no statement stands in two of them."""
    folder.mkdir(parents=True, exist_ok=True)
    sets = {"seen": draw(SEEN, n_benchmark, 1, set()), "unseen": draw(UNSEEN, n_benchmark, 2, set())}
    sets["pool"] = draw(SEEN, n_pool, 3, {row["problem"] for row in sets["seen"]})
    for name, rows in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
