"""Processor time of verdicts, ours beside plain Math-Verify in the same run, and every row without agreement.

    python bench/verify.py ../shared/data --plain 1500        # plain Math-Verify on 1,500 rows drawn with a fixed seed
    python bench/verify.py ../shared/data --plain 0 --files samples/qwen_math100_x8 samples/sky_short_math500

All rows: whole completions as they were recorded.  Distinct pairs: each (answer, extracted) once, with no memo.  Plain
Math-Verify is called with its default settings and delimiters supplied, its clocks off (a killable child holds it).
Seconds are processor time, of children too; ratios are what counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from limo.core.process.limits import CallLimits
from limo.core.process.worker import Worker
from limo.core.records import Completion, Problem
from limo.verify.maths.symbolic import open_comparer
from limo.verify.maths_verifier import MathsVerifier

FILES = (
    "samples/qwen_math100_x8",
    "samples/gsm8k_gpt3_x4",
    "samples/sky_short_math500",
    "samples/sky_short_aime24",
    "samples/sky_short_amc23",
    "chains/sky_long_amc23",
    "chains/sky_long_math500",
)


LIMIT_S = 10.0  # of processor time, for one row of Math-Verify


def processor_s() -> float:
    """Processor time so far, of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def rows(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(answer, completion) of every recorded completion of the files."""
    for name in names:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                row = json.loads(line)
                yield str(row["gold"]), row["response"]


def ours(pairs: list[tuple[str, str]], memo: bool) -> tuple[float, list]:
    """Seconds and verdicts; without memo every pair is decided anew (a child's import of Math-Verify is counted)."""
    for name, module in list(sys.modules.items()):  # what was read before is not known
        for member in vars(module).values() if name.startswith("limo.verify") else ():
            getattr(member, "cache_clear", int)()
    verdicts, start = [], processor_s()
    verifier = MathsVerifier()
    for answer, completion in pairs:
        if not memo:
            verifier.memo.clear()
        verdicts.append(verifier.verify(Problem("", "", answer), Completion(completion)))
    verifier.close()
    return processor_s() - start, verdicts


def plain(pairs: list[tuple[str, str]]) -> tuple[float, float, list[bool | None]]:
    """Seconds, those of them spent on texts that it could not finish, and opinions of Math-Verify."""
    start = processor_s()
    with Worker(open_comparer, True, limits=CallLimits(time_s=LIMIT_S)) as worker:
        opinions = [(worker.call(pair).value or [None])[0] for pair in pairs]
    seconds = processor_s() - start
    return seconds, min(seconds, LIMIT_S * opinions.count(None)), opinions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, nargs="?", default=Path("../shared/data"), help="samples/ and chains/ lie here"
    )
    parser.add_argument("--plain", type=int, default=1500, help="rows given to plain Math-Verify; 0 = all")
    parser.add_argument("--files", nargs="+", default=FILES, help="which recordings")
    parser.add_argument("--seed", type=int, default=0, help="which rows are drawn for plain Math-Verify")
    parser.add_argument("--out", type=Path, help="write every row without agreement here, as JSON lines")
    arguments = parser.parse_args()
    if not (arguments.data / "samples").is_dir():
        print(f"nothing to measure: there is no {arguments.data}/samples")
        return
    everything = list(rows(arguments.data, arguments.files))
    drawn = random.Random(arguments.seed).sample(everything, arguments.plain or len(everything))

    all_s, verdicts = ours(everything, memo=True)
    distinct = sorted({(a, v.extracted) for (a, _), v in zip(everything, verdicts, strict=True) if v.extracted})
    boxed = [(a, f"\\boxed{{{x}}}") for a, x in distinct]
    distinct_s, _ = ours(boxed, memo=False)
    boxed_drawn = random.Random(arguments.seed).sample(boxed, min(arguments.plain or len(boxed), len(boxed)))
    *plain_s, opinions = plain(drawn)
    *plain_distinct_s, distinct_opinions = plain([(a, f"${x}$") for a, x in boxed_drawn])

    def line(name: str, n: int, seconds: float, opinions: list[bool | None], plain_s: float, silent_s: float) -> None:
        rate, n_silent = n / seconds, opinions.count(None)
        other, finished = len(opinions) / plain_s, (len(opinions) - n_silent) / (plain_s - silent_s)
        print(
            f"{name:15} ours {rate:9.0f}/s ({n} in {seconds:.1f} s)   "
            f"Math-Verify {other:6.0f}/s ({len(opinions)})   ratio {rate / other:.1f}x"
            f"   without the {n_silent} that it does not finish: {finished:.0f}/s, {rate / finished:.1f}x"
        )

    line("all rows", len(everything), all_s, opinions, *plain_s)
    line("distinct pairs", len(distinct), distinct_s, distinct_opinions, *plain_distinct_s)
    known = {pair: verdict for pair, verdict in zip(everything, verdicts, strict=True)}
    compared = [(a, known[a, c], c, opinion) for (a, c), opinion in zip(drawn, opinions, strict=True)]
    differ = [row for row in compared if row[3] is None or (row[1].outcome == "correct") != row[3]]
    n_silent = opinions.count(None)
    print(f"disagreements: {len(differ) - n_silent} of {len(drawn)} rows; Math-Verify is silent on {n_silent} more")
    if arguments.out:
        arguments.out.write_text(
            "".join(
                json.dumps(
                    {
                        "answer": a,
                        "extracted": v.extracted,
                        "ours": v.outcome,
                        "tier": v.tier,
                        "reason": v.reason,
                        "plain": opinion,
                        "end": c[-300:],
                    },
                    ensure_ascii=False,
                )
                + "\n"
                for a, v, c, opinion in differ
            ),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
