"""800 of 100,000 candidates, with diversity and quotas: seconds, beside selection by rank alone.

    python bench/selection.py

Candidates are made from a seed: statements of the kind that school problems are (topic words, commands, numbers), two
chains for every fifth problem.  Wall time of one process; the ratio to plain rank says what diversity costs.
"""

from __future__ import annotations

import argparse
import random
import time

from limo.core.records import Chain, Grade, Problem, Verdict
from limo.curate.select import Candidate, SelectSettings, select

_TEXT = """
area tiles rectangle probability dice prime divisor circle radius tangent integral cosine matrix vector
sequence ratio train speed angle triangle coin marbles polynomial root modulo digits sum product permutation
committee graph distance interest percent function inverse domain range logarithm exponent complex parabola
ellipse volume cube sphere cone median mean variance arithmetic geometric series binomial expansion integer
rational factor remainder chessboard path lattice polygon diagonal hexagon perimeter average age clock hour
minute mixture solution liters price discount profit weight scale equation inequality absolute value maximum
minimum derivative limit tangent slope
"""
WORDS = _TEXT.split()
TOPICS = ("algebra", "geometry", "number theory", "counting", "calculus", "probability", "")


def made(n: int, seed: int) -> list[Candidate]:
    """`n` candidates of about 5 n / 6 problems."""
    rng = random.Random(seed)
    found: list[Candidate] = []
    while len(found) < n:
        words = rng.choices(WORDS, k=rng.randint(12, 60))
        statement = f"Find the {' '.join(words)} of $\\frac{{{rng.randint(1, 99)}}}{{x}}$ and {rng.randint(1, 10**6)}."
        problem = Problem.make(statement, "7", topic=rng.choice(TOPICS), source=f"source {rng.randint(0, 9)}")
        for index in range(1 + (rng.random() < 0.2)):
            score = round(rng.random(), 6)
            chain = Chain(problem.id, f"{statement} {index}", "t", "p", "s", index, 5000, Verdict("correct"))
            found.append(Candidate(problem, chain, Grade({}, score, "L3")))
    return found[:n]


def main() -> None:
    """Print how long each way of selecting takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="not used; so that all benches can be called alike")
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("-k", type=int, default=800)
    asked = parser.parse_args()
    candidates = made(asked.n, 0)
    ways = {
        "by rank": SelectSettings(k=asked.k),
        "diversity 0.5": SelectSettings(k=asked.k, diversity=0.5),
        "diversity 0.5, quotas": SelectSettings(k=asked.k, diversity=0.5, per_topic=150, per_source=100),
        "diversity 1": SelectSettings(k=asked.k, diversity=1.0),
    }
    first = 0.0
    for name, settings in ways.items():
        start = time.perf_counter()
        kept, dropped = select(candidates, settings)
        spent = time.perf_counter() - start
        first = first or spent
        assert len(kept) == asked.k and len(kept) + len(dropped) == asked.n
        print(f"{name:24} {len(kept)} of {asked.n:,} in {spent:6.1f} s  {spent / first:5.1f} x plain rank")


if __name__ == "__main__":
    main()
