"""Dedup and decontamination on a labelled pool: what each rule removes, loses and costs, ours beside its peers.

    python bench/pool.py ../shared/data --rows 100000
    python bench/pool.py ../shared/data --rows 1000000 --peers rensa daft

The pool is made from the real pools by `pool_world` (labelled, seeded); contamination is planted from the nine
benchmarks that are there.  CPU seconds are of this process, all threads; every contender reads the same texts in the
same run, a slow one fewer of them (then `rows` says how many).  Needs the extra `bench`.
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
from pool_world import COPIES, DISGUISES, VARIANTS, Made, key, make, plant

from limo.pool.benchmarks import benchmarks, load_benchmarks
from limo.pool.decontaminate import decontaminate
from limo.pool.dedup import ANOTHER_ANSWER, dedup
from limo.pool.ingest import stream
from limo.records import Problem


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
        "removed": 1 - n_extra / (len(world) - n_distinct),
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
    """Ours on all rows; each peer on as many as it can finish, and ours on the same slice beside a slice."""
    print("\nDedup")
    ours(world)
    for name in peers:
        peer, most = PEERS[name]
        part = world[:most]
        texts = [one.problem.problem for one in part]
        kept, seconds = timed(lambda peer=peer, texts=texts: peer(texts))
        show(name, len(part), seconds, deduplicated(part, kept))


def ours(world: list[Made]) -> None:
    """Our rule, with its share by kind and the conflicts that it lists."""
    place = {id(one.problem): row for row, one in enumerate(world)}
    (kept, dropped), seconds = timed(lambda: dedup([one.problem for one in world]))
    rows = {place.get(id(one)) for one in kept}
    if None in rows:  # a problem with a family is a new record: find it by what it was made of
        known = {(one.problem.id, one.problem.problem, one.problem.answer): row for row, one in enumerate(world)}
        rows = {known[one.id, one.problem, one.answer] for one in kept}
    show("limo", len(world), seconds, deduplicated(world, sorted(rows)))
    print("  copies gone, by kind:", {kind: f"{share:.2%}" for kind, share in by_kind(world, sorted(rows)).items()})
    print("  lost, by kind:", {kind: f"{share:.2%}" for kind, share in lost_by_kind(world, sorted(rows)).items()})
    print("  answers in conflict, listed:", sum(one.reason == ANOTHER_ANSWER for one in dropped))


def bench_contamination(folder: Path, world: list[Made], n_slow: int) -> None:
    """Planted rows found, clean rows flagged, by any word n-gram and by ours."""
    known = load_benchmarks([name for name in benchmarks() if name != "GPQA"], folder / "benchmarks")
    planted, items = plant(known, seed=2), [one.problem for rows in known.values() for one in rows]
    clean = [one.problem for one in world]
    print(f"\nContamination: {len(planted):,} planted rows, {len(clean):,} others")
    (kept, _), seconds = timed(lambda: decontaminate(clean, known))
    left = {one.problem for one in decontaminate([problem for _, problem in planted], known)[0]}
    caught = [problem.problem not in left for _, problem in planted]
    contaminated("limo", planted, caught, 1 - len(kept) / len(clean), len(clean), seconds)
    for n in (8, 13):
        part = [one.problem for one in clean[:n_slow]]
        flags, seconds = timed(lambda n=n, part=part: any_ngram(part, items, n))
        caught = any_ngram([problem.problem for _, problem in planted], items, n)
        contaminated(f"any {n}-gram", planted, caught, sum(flags) / len(flags), len(part), seconds)


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
    given = parser.parse_args()
    real = bases(given.data)
    world = make(real, given.rows, given.seed)
    n_distinct = len({one.truth for one in world})
    print(f"{len(world):,} rows from {len(real):,} real problems; {n_distinct:,} distinct; seed {given.seed}")
    print({kind: n for kind, n in Counter(one.kind for one in world).most_common()})
    dedup([one.problem for one in world[:1000]])  # compiled code is loaded, and no contender pays for that
    bench_contamination(given.data, world, 100_000)
    bench_dedup(world, given.peers)


if __name__ == "__main__":
    main()
