"""Dedup and decontamination on a labelled pool: what each rule removes, loses and costs, ours beside its peers.

    python bench/pool.py ../shared/data --rows 100000
    python bench/pool.py ../shared/data --rows 1000000 --s1 s1/data/decontaminate_util.py \\
        --open-r1 open-r1/scripts/decontaminate.py

The pool is made from the real pools by `pool_world` (labelled, seeded); contamination is planted from the
benchmarks that are there.  CPU seconds are of this process, all threads; every contender reads the same texts in the
same run, a slow one fewer of them (then `rows` says how many).  Needs the dependency group `bench`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pool_peers import PEERS, any_ngram
from pool_scripts import open_r1, s1
from pool_world import COPIES, DISGUISES, VARIANTS, Made, plant, world

from limo.core.records import Problem
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import ANOTHER_ANSWER, DedupSettings, dedup, find_duplicates
from limo.pool.dedup_decisions import REWORDINGS, TEXTS
from limo.pool.sources.benchmarks import load_present


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the CPU seconds of all threads that it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def deduplicated(world: Sequence[Made], kept: Sequence[int]) -> dict[str, float]:
    """Shares: copies removed, distinct problems lost, renumbered ones among them lost."""
    survivors = Counter(world[row].truth for row in kept)
    kinds = {one.truth: one.kind for one in world if one.kind not in COPIES}
    n_distinct = len({one.truth for one in world})
    n_extra = sum(count - 1 for count in survivors.values())
    renumbered = [truth for truth, kind in kinds.items() if kind == "renumbered"]
    return {
        "removed": 1 - n_extra / max(1, len(world) - n_distinct),
        "lost": 1 - len(survivors) / n_distinct,
        "renumbered lost": sum(truth not in survivors for truth in renumbered) / max(1, len(renumbered)),
    }


def by_kind(world: Sequence[Made], kept: Sequence[int]) -> dict[str, float]:
    """Of the copies of each kind the share whose problem stands in the result once, and not several times."""
    survivors = Counter(world[row].truth for row in kept)
    groups: dict[str, list[bool]] = defaultdict(list)
    for one in world:
        groups[one.kind].append(survivors[one.truth] <= 1)
    return {kind: sum(groups[kind]) / len(groups[kind]) for kind in COPIES if groups[kind]}


def lost_by_kind(world: Sequence[Made], kept: Sequence[int]) -> dict[str, float]:
    """Of the distinct problems of each kind the share that is nowhere in the result."""
    survivors = {world[row].truth for row in kept}
    groups: dict[str, list[bool]] = defaultdict(list)
    for one in world:
        if one.kind not in COPIES:
            groups[one.kind].append(one.truth not in survivors)
    return {kind: sum(groups[kind]) / len(groups[kind]) for kind in ("original", *VARIANTS) if groups[kind]}


def show(name: str, n_rows: int, seconds: float, shares: dict[str, float]) -> None:
    """One line."""
    rest = "  ".join(f"{what} {share:7.2%}" for what, share in shares.items())
    print(f"{name:12} {n_rows:9,} rows {seconds:8.1f} CPU s {seconds / n_rows * 1e6:8.1f} us/row  {rest}", flush=True)


def bench_dedup(world: list[Made], peers: Sequence[str]) -> None:
    """Ours on all rows; each peer on as many as it can finish."""
    print("\nDedup")
    problems = [one.problem for one in world]
    ours(world, problems)
    for name in peers:
        peer, most = PEERS[name]
        part = world[:most]
        texts = [one.problem.problem for one in part]
        kept, seconds = timed(lambda peer=peer, texts=texts: peer(texts))
        show(name, len(part), seconds, deduplicated(part, kept))


def ours(world: list[Made], problems: list[Problem]) -> None:
    """Our rules twice: as rows, which is what peers give, and as records with families and reasons."""
    tables, seconds = timed(lambda: find_duplicates(problems, DedupSettings()))
    found = [table["row"].to_pylist() for step in (TEXTS, REWORDINGS) for table in tables.read(step, ["row"])]
    dropped = {row for rows in found for row in rows}
    rows = [row for row in range(len(problems)) if row not in dropped]
    show("limo", len(world), seconds, deduplicated(world, rows))
    print("  copies gone, by kind:", {kind: f"{share:.2%}" for kind, share in by_kind(world, rows).items()})
    print("  lost, by kind:", {kind: f"{share:.2%}" for kind, share in lost_by_kind(world, rows).items()})
    (kept, removed), seconds = timed(lambda: dedup(problems))
    assert len(kept) == len(rows), "both ways give the same rows"
    show("  as records", len(world), seconds, {})
    print("  answers in conflict, listed:", sum(row.reason == ANOTHER_ANSWER for row in removed))


def bench_pairs(folder: Path) -> None:
    """Real pairs: the same template with another number, and paraphrases by a model."""
    print("\nReal pairs")
    pairs = lines(folder / "pairs" / "gsm_hard_number_swaps.jsonl.gz")
    pairs = [one for one in pairs if one["original"]]
    merged = conflicts = 0
    for one in pairs:
        pair = [
            Problem.make(one["original"], _answer(one["original_answer"])),
            Problem.make(one["problem"], _answer(one["answer"])),
        ]
        gone = dedup(pair)[1]
        if not one["same_answer"] and gone:
            merged += gone[0].reason != ANOTHER_ANSWER
            conflicts += gone[0].reason == ANOTHER_ANSWER
    n_other = sum(not one["same_answer"] for one in pairs)
    print(f"  gsm-hard: {n_other:,} pairs with other answers: {merged} merged, {conflicts} of equal text, told")
    for name in ("gsm8k_train", "math_seen"):
        rows = lines(folder / "pairs" / f"benbench_{name}_rewrites.jsonl.gz")
        pool = [Problem.make(one["original"], _answer(one["answer"])) for one in rows]
        pool += [Problem.make(text, _answer(one["answer"])) for one in rows for text in one["rewrites"]]
        known = {"originals": pool[: len(rows)]}
        gone, hit = dedup(pool)[1], decontaminate(pool[len(rows) :], known)[1]
        n = len(pool) - len(rows)
        shares = f"merged {len(gone) / n:.1%}, found as contamination {len(hit) / n:.1%}"
        print(f"  {name}: {n:,} paraphrases by a model, {shares}")


def bench_faults(folder: Path) -> None:
    """Small inputs that went wrong once, by what should come of them."""
    print("\nFaults of old")
    known, _ = load_present(folder / "benchmarks")
    right: dict[str, list[bool]] = defaultdict(list)
    for row in map(json.loads, (folder / "pairs" / "pool_faults_dev.jsonl").read_text("utf-8").split("\n")[:-1]):
        should, is_input = row["should"], not row["kind"].startswith("crash")  # a crash names a file of its finder's
        if should == "flag" and is_input:
            right[should].append(bool(decontaminate([Problem.make(row["a"], "")], known)[1]))
        elif is_input:
            answers = row.get("answers") or ["17", "17"]
            pair = [Problem.make(row[text], answer) for text, answer in zip("ab", answers, strict=True)]
            right[should].append(bool(dedup(pair)[1]) == (should == "merge"))
        if is_input and not right[should][-1]:
            print("  wrong:", row["kind"])
    print("  right:", {should: f"{sum(rows)} of {len(rows)}" for should, rows in right.items()})


def _answer(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a gzipped JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]


def bench_contamination(folder: Path, world: list[Made], n_slow: int, scripts: dict[str, Path | None]) -> None:
    """Planted rows found, clean rows flagged, by any word n-gram, by the scripts that use them, and by ours."""
    known, _ = load_present(folder / "benchmarks")
    planted, items = plant(known, seed=2), [one.problem for rows in known.values() for one in rows]
    hidden, clean = [problem for _, problem in planted], [one.problem for one in world]
    print(f"\nContamination: {len(planted):,} planted rows, {len(clean):,} others")
    left = {one.problem for one in decontaminate(hidden, known)[0]}
    caught = [problem.problem not in left for problem in hidden]
    for part in (clean[:n_slow], clean):
        (kept, _), seconds = timed(lambda part=part: decontaminate(part, known))
        contaminated("limo", planted, caught, 1 - len(kept) / len(part), len(part), seconds)
    texts, n_hidden = [one.problem for one in (*hidden, *clean[:n_slow])], len(hidden)
    for n in (8, 13):
        flags, seconds = timed(lambda n=n: any_ngram(texts, items, n))
        contaminated(f"any {n}-gram", planted, flags[:n_hidden], _share(flags[n_hidden:]), len(texts), seconds)
    by_name = {name: [one.problem for one in rows] for name, rows in known.items()}
    if script := scripts["s1"]:
        for n in (8, 13):
            flags, seconds = s1(script, texts, items, n)
            contaminated(f"s1, {n}", planted, flags[:n_hidden], _share(flags[n_hidden:]), len(texts), seconds)
    if script := scripts["open-r1"]:
        flags, seconds = open_r1(script, texts, by_name, 8)
        contaminated("open-r1, 8", planted, flags[:n_hidden], _share(flags[n_hidden:]), len(texts), seconds)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def contaminated(
    name: str, planted: Sequence[tuple[str, Problem]], caught: Sequence[bool], flagged: float, n: int, seconds: float
) -> None:
    """One line, and recall by disguise."""
    show(name, n, seconds, {"recall": sum(caught) / len(caught), "clean flagged": flagged})
    by = {kind: [hit for (one, _), hit in zip(planted, caught, strict=True) if one == kind] for kind in DISGUISES}
    print("  recall by disguise:", {kind: f"{sum(hits) / len(hits):.2%}" for kind, hits in by.items() if hits})


def main() -> None:
    """Make the pool and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", type=Path, help="keep the labelled pool here, and read it from here the next time")
    parser.add_argument("--s1", type=Path, help="s1's data/decontaminate_util.py, of a clone of yours")
    parser.add_argument("--open-r1", type=Path, help="open-r1's scripts/decontaminate.py, of a clone of yours")
    given = parser.parse_args()
    made = world(given.data, given.rows, given.seed, given.world)
    n_bases, n_distinct = len({one.base for one in made}), len({one.truth for one in made})
    print(f"{len(made):,} rows from {n_bases:,} real problems; {n_distinct:,} distinct; seed {given.seed}")
    print({kind: n for kind, n in Counter(one.kind for one in made).most_common()})
    bench_faults(given.data)
    bench_pairs(given.data)  # by which compiled code is loaded too, and no contender pays for that
    bench_contamination(given.data, made, 100_000, {"s1": given.s1, "open-r1": given.open_r1})
    bench_dedup(made, given.peers)


if __name__ == "__main__":
    main()
