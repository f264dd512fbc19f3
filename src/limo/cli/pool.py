"""The commands of the pool: ingest, dedup, decontaminate; and the benchmarks that are kept out of it.

    limo pool ingest math.jsonl folder/ -o pool/              # a folder: any size, in parts, goes on when stopped
    limo pool dedup pool/ -o clean/
    limo pool decontaminate clean/ --benchmarks eval/data -o safe/
    limo pool decontaminate train.jsonl --check               # is somebody else's training set clean?
    limo benchmarks list

What it does not do: remember a recipe; `limo curate` does (`road`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from limo.cli.shape import OVERRIDES, Call, command, output, table
from limo.errors import InputError, LimoError

if TYPE_CHECKING:
    from limo.records import Dropped, Problem

DROPPED = click.option("--dropped", metavar="FILE", help="Write what was dropped, and why, as JSON lines.")
POOL = "The pool: a folder (parts, for any size), .parquet, .jsonl or .jsonl.gz."
ENGINE = click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", help="Where a folder's parts are worked on."
)
PATH = click.option("--benchmarks", metavar="PATH", help="Folder or file where they are.  [default: the hub's cache]")


@click.group("pool")
def pool() -> None:
    """Sets of problems.

    Read any shape, drop duplicates, keep benchmarks out.
    """


@command(
    "ingest",
    click.argument("sources", nargs=-1, required=True, metavar="SOURCE..."),
    output(POOL),
    DROPPED,
    click.option("--keep-unverifiable", is_flag=True, help="Keep problems whose answer no rule can check."),
    group=pool,
)
def pool_ingest(
    call: Call, sources: tuple[str, ...], output: str, dropped: str | None, keep_unverifiable: bool
) -> None:
    """Read files, folders, saved datasets or hub ids into one pool."""
    from limo.pool import ingest as room
    from limo.verify.check import verifiable

    settings = room.IngestSettings(keep_unverifiable=keep_unverifiable)
    if _is_folder(output):
        from limo.pool.parts import ingest_parts

        _told(call, ingest_parts(sources, output, verifiable, settings, call.progress), output, dropped)
        return
    done = room.ingest(sources, verifiable, settings)
    _pooled(call, done.problems, done.dropped, output, dropped)


@command("dedup", click.argument("file"), OVERRIDES, output(POOL), DROPPED, ENGINE, group=pool)
def pool_dedup(
    call: Call, file: str, overrides: tuple[str, ...], output: str, dropped: str | None, engine: str
) -> None:
    """Drop repeated problems, telling rewordings from problems with other numbers."""
    from limo.pool.dedup import DedupSettings, dedup
    from limo.pool.ingest import read_pool
    from limo.recipe import load

    settings = load(DedupSettings, None, overrides)
    if _is_folder(output):
        from limo.pool.big import dedup_parts
        from limo.pool.engine import Engine

        counts = dedup_parts(file, output, settings, Engine.model_validate({"kind": engine}), call.progress)
        _told(call, counts, output, dropped)
        return
    kept, gone = dedup(read_pool(file), settings)
    _pooled(call, kept, gone, output, dropped)


@command(
    "decontaminate",
    click.argument("file"),
    OVERRIDES,
    click.option("--benchmark", multiple=True, metavar="NAME", help="A benchmark; may be repeated.  [default: all]"),
    PATH,
    output(POOL, required=False),
    DROPPED,
    click.option("--evidence", metavar="FILE", help="Write every hit, with both texts, as Parquet."),
    click.option("--check", is_flag=True, help="Only look: any training set, answered or not; no pool is written."),
    ENGINE,
    group=pool,
)
def pool_decontaminate(
    call: Call,
    file: str,
    overrides: tuple[str, ...],
    benchmark: tuple[str, ...],
    benchmarks: str | None,
    output: str | None,
    dropped: str | None,
    evidence: str | None,
    check: bool,
    engine: str,
) -> None:
    """Drop problems that stand in a benchmark, each with its evidence."""
    from limo.pool.benchmarks import load_benchmarks
    from limo.pool.decontaminate import DecontaminateSettings, decontaminate
    from limo.pool.ingest import read_pool, statements
    from limo.recipe import load

    if check == bool(output):
        raise InputError("what is to be done?", file, "-o POOL, or --check", "give one of the two")
    settings = load(DecontaminateSettings, None, overrides)
    known = load_benchmarks(benchmark or settings.benchmarks, benchmarks or settings.path or None)
    if output and _is_folder(output):
        from limo.pool.big import decontaminate_parts, evidence_of
        from limo.pool.engine import Engine

        placed = Engine.model_validate({"kind": engine})
        counts = decontaminate_parts(file, output, known, settings, placed, call.progress)
        found = evidence_of(output)
        _evidence(found, evidence)
        _told(call, counts, output, dropped, found)
        return
    pooled, unread = statements(file) if check else (read_pool(file), [])
    kept, gone = decontaminate(pooled, known, settings)
    found = _evidence_table(kept, gone)
    _evidence(found, evidence)
    if check:
        _checked(call, len(pooled), unread, found)
    else:
        _pooled(call, kept, gone, str(output), dropped, found)


def _checked(call: Call, n_problems: int, unread: Sequence[Dropped], found: list[dict[str, Any]]) -> None:
    from limo.pool.evidence import render, totals

    n_hit = len({row["problem_id"] for row in found if row["decision"] == "drop"})
    value = {"n_problems": n_problems, "n_without_statement": len(unread), "n_contaminated": n_hit}
    head = f"{n_hit:,} of {n_problems:,} problems stand in a benchmark"
    head += f"; {len(unread):,} rows have no statement" if unread else ""
    body = f"\n\n{_totals(found)}\n\n{render(found)}" if found else ""
    call.result({**value, "totals": totals(found), "hits": found}, head + body)


def _evidence_table(kept: Sequence[Problem], gone: Sequence[Dropped]) -> list[dict[str, Any]]:
    from limo.pool.evidence import evidence_table

    return evidence_table(kept, gone)


def _evidence(found: Sequence[Mapping[str, Any]], path: str | None) -> None:
    if path:
        from limo.pool.evidence import write_evidence

        write_evidence(found, path)


def _totals(found: Sequence[Mapping[str, Any]]) -> str:
    from limo.pool.evidence import totals

    rows: list[list[object]] = [["benchmark", "source", "method", "decision", "problems"]]
    return table(rows + [list(row.values()) for row in totals(found)])


def _is_folder(output: str) -> bool:
    """Whether parts are wanted: a name without a file's ending."""
    return not output.lower().endswith((".parquet", ".jsonl", ".jsonl.gz", ".json", ".csv", ".gz"))


def _told(
    call: Call, counts: Counter[str], output: str, dropped: str | None, found: Sequence[Mapping[str, Any]] = ()
) -> None:
    """What became of a pool in parts."""
    if dropped:
        from limo.cli.rows import write_rows
        from limo.pool.parts import dropped_of

        write_rows([asdict(one) for one in dropped_of(output)], dropped)
    by_reason = Counter({reason: n for reason, n in counts.items() if reason != "kept"})
    _shown(call, counts["kept"], by_reason, output, found)


def _pooled(
    call: Call,
    kept: list[Any],
    gone: Sequence[Dropped],
    output: str,
    dropped: str | None,
    found: Sequence[Mapping[str, Any]] = (),
) -> None:
    from limo.cli.rows import write_rows
    from limo.pool.ingest import write_pool

    if not kept:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in Counter(one.reason for one in gone).most_common())
        raise InputError("no problem is left", reasons or "none came in", "one or more", "see --dropped FILE")
    if dropped:
        write_rows([asdict(one) for one in gone], dropped)
    _shown(call, write_pool(kept, output), Counter(one.reason for one in gone), output, found)


def _shown(call: Call, n_kept: int, by_reason: Counter[str], output: str, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [["kept", n_kept], *([reason, n] for reason, n in by_reason.most_common())]
    value = {"n_kept": n_kept, "n_dropped": sum(by_reason.values()), "n_by_reason": dict(by_reason), "output": output}
    text = table([["what", "problems"], *rows])
    call.result(value, f"{text}\n\n{_totals(found)}" if found else text)


@click.group("benchmarks")
def benchmarks() -> None:
    """Pools that are never trained on.

    Those of the paper, what is known of each, and their rows from the hub or from a file.
    """


@command(
    "list",
    click.option("--path", metavar="PATH", help="Say which of them are in this folder, whole or not."),
    group=benchmarks,
)
def benchmarks_list(call: Call, path: str | None) -> None:
    """All that are known.

    The paper's group, rows, decoding, and where they are published or whether they are here.
    """
    from limo.pool.benchmarks import benchmarks as known
    from limo.pool.benchmarks import decoding

    rows: list[list[object]] = [["benchmark", "group", "rows", "decoding", "judge", "here" if path else "home"]]
    value = {}
    for name, entry in known().items():
        n, sampling = decoding(name)
        how = f"{n} at {sampling.temperature}" if n > 1 else "greedy"
        where = _found(name, path) if path else entry.home
        rows.append([name, entry.group, entry.n, how, "model" if entry.judge else "rules", where])
        value[name] = entry.model_dump(mode="json") | ({"here": where} if path else {})
    call.result({"benchmarks": value}, table(rows))


@command(
    "show",
    click.argument("name"),
    click.option(
        "--path", metavar="PATH", help="Its file or folder: count its rows and name those that repeat another."
    ),
    group=benchmarks,
)
def benchmarks_show(call: Call, name: str, path: str | None) -> None:
    """What is known of one: hub id, revision, licence, fields, decoding."""
    from limo.pool.benchmarks import benchmark

    entry = benchmark(name).model_dump(mode="json")
    rows: list[list[object]] = [["what", "value"], *([key, value] for key, value in entry.items() if value)]
    if path:
        loaded = _loaded(name, path)
        entry |= loaded
        rows += [[key, value] for key, value in loaded.items()]
    call.result({"name": name, **entry}, table(rows))


@command(
    "fetch",
    click.argument("name"),
    click.option("--path", metavar="PATH", help="A file or folder of yours.  [default: the hub and its cache]"),
    click.option("--seed", type=int, default=0, help="Orders the options of a benchmark without a fixed order (GPQA)."),
    output("The benchmark as a pool: .parquet, .jsonl or .jsonl.gz."),
    group=benchmarks,
)
def benchmarks_fetch(call: Call, name: str, path: str | None, seed: int, output: str) -> None:
    """Write a benchmark's rows as a pool, all of them, with the number that repeat an earlier one."""
    from limo.pool.benchmarks import duplicates, load_benchmark
    from limo.pool.ingest import write_pool

    problems = load_benchmark(name, path, seed)
    n, repeats = write_pool(problems, output), duplicates(problems)
    call.result(
        {"name": name, "n": n, "n_repeats": len(repeats), "output": output},
        f"{n:,} rows of {name} in {output}; {len(repeats)} repeat an earlier row",
    )


def _loaded(name: str, path: str) -> dict[str, object]:
    from limo.pool.benchmarks import duplicates, load_benchmark

    problems = load_benchmark(name, path)
    repeats = [(one.detail["row"], one.detail["first_row"]) for one in duplicates(problems)]
    return {"rows here": len(problems), "rows that repeat another": ", ".join(f"{a}={b}" for a, b in repeats) or "none"}


def _found(name: str, path: str) -> str:
    from limo.pool.benchmarks import load_benchmark

    try:
        return f"{len(load_benchmark(name, path))} rows"
    except LimoError as error:
        return str(error).split(" (allowed")[0]


COMMANDS = (pool, benchmarks)
