"""Chains graded per second on one core, by either scorer, beside the cheapest thing one could do with a text.

    python bench/grading.py ../shared/data

The chains are recorded completions of reasoning models; their median length is printed.  The peer is one pass of
`re.findall` over the words of each text: a scorer cannot well be faster than reading.  Time is CPU time of this
process, best of three; ratios are what counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from limo.curate.grade import Grader, GradeSettings, measure_texts

FILES = ("chains/sky_long_amc23", "chains/sky_long_math500")
_WORDS = re.compile(r"\w+")


def texts(folder: Path, least: int) -> list[str]:
    """The recorded chains of at least `least` characters."""
    responses = []
    for name in FILES:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            responses += [json.loads(line)["response"] for line in lines]
    return [text for text in responses if len(text) >= least]


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def graded(chains: list[str], scorer: str) -> None:
    """What `grade` does: measure, score, cut levels."""
    settings = GradeSettings(scorer=scorer)
    columns = measure_texts(chains, settings)
    Grader(columns, settings).grades(columns)


def main() -> None:
    """Print both scorers beside the peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--least", type=int, default=4000, help="shortest chain that counts as long, in characters")
    arguments = parser.parse_args()
    chains = texts(arguments.data, arguments.least)
    lengths = [len(text) for text in chains]
    mean = sum(lengths) / len(lengths)
    print(f"{len(chains):,} chains, {median(lengths):,.0f} characters in the median, {mean:,.0f} on average")
    peer = seconds(lambda: [_WORDS.findall(text) for text in chains])
    rows = [("re.findall of words", peer)]
    rows += [(name, seconds(lambda name=name: graded(chains, name))) for name in ("limo-v2", "structure")]
    for name, spent in rows:
        print(f"{name:20} {len(chains) / spent:9,.0f} chains a second  {spent / peer:5.2f} x the peer's time")


if __name__ == "__main__":
    main()
